package wrenndev

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
)

// minPassword is the length that a password has at least, in bytes as the service
// counts them.
const minPassword = 8

// passwordRounds is low for a hash of passwords: whoever can read the hashes can read
// the keys and secrets beside them in the data directory too.
const passwordRounds = 10_000

// hashPassword is how a password is kept: salt and hash, in hexadecimal digits.
func hashPassword(password string) (string, error) {
	salt := randomHex(16)
	sum, err := passwordSum(password, salt)
	return salt + sum, err
}

func passwordSum(password, salt string) (string, error) {
	sum, err := pbkdf2.Key(sha256.New, password, []byte(salt), passwordRounds, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return hex.EncodeToString(sum), nil
}

// passwordMatches tells whether the password is the one that was hashed. Nothing
// matches an empty hash, which stands for no password.
func passwordMatches(hash, password string) bool {
	const salt = 2 * 16
	if len(hash) <= salt {
		return false
	}
	sum, err := passwordSum(password, hash[:salt])
	return err == nil && subtle.ConstantTimeCompare([]byte(sum), []byte(hash[salt:])) == 1
}

func checkPassword(password string) error {
	if len(password) < minPassword {
		return invalidRequest("password must be at least %d characters", minPassword)
	}
	return nil
}
