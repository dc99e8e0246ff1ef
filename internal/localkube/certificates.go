package localkube

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificateLifetime is longer than anyone keeps a throw-away control plane running.
const certificateLifetime = 365 * 24 * time.Hour

// authority is the certificate authority of one control plane. It signs the serving certificate and the clients'
// alike, so that a control plane trusts nothing that another one made.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

// keyPair is a certificate with its private key, both in PEM.
type keyPair struct {
	certificate []byte
	key         []byte
}

func newAuthority() (*authority, error) {
	template, err := certificateTemplate(pkix.Name{CommonName: "localkube-ca"})
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing the certificate authority: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("signing the certificate authority: %w", err)
	}
	return &authority{certificate: certificate, key: key, pem: encodePEM("CERTIFICATE", der)}, nil
}

// server signs a certificate for the API server on loopback.
func (a *authority) server() (keyPair, error) {
	template, err := certificateTemplate(pkix.Name{CommonName: "kube-apiserver"})
	if err != nil {
		return keyPair{}, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)}
	return a.sign(template)
}

// client signs a certificate that Kubernetes reads as this user in these groups.
func (a *authority) client(user string, groups ...string) (keyPair, error) {
	template, err := certificateTemplate(pkix.Name{CommonName: user, Organization: groups})
	if err != nil {
		return keyPair{}, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.sign(template)
}

func (a *authority) sign(template *x509.Certificate) (keyPair, error) {
	key, err := newKey()
	if err != nil {
		return keyPair{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return keyPair{}, fmt.Errorf("signing a certificate for %s: %w", template.Subject.CommonName, err)
	}
	private, err := encodeKey(key)
	if err != nil {
		return keyPair{}, err
	}
	return keyPair{certificate: encodePEM("CERTIFICATE", der), key: private}, nil
}

func certificateTemplate(subject pkix.Name) (*x509.Certificate, error) {
	const serialBits = 120
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    time.Now().Add(-time.Hour), // clocks inside virtual machines jump
		NotAfter:     time.Now().Add(certificateLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}, nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating a key: %w", err)
	}
	return key, nil
}

// encodeKey uses the older of the two forms (SEC 1), since Kubernetes finds a public key only in that one.
func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return encodePEM("EC PRIVATE KEY", der), nil
}

func encodePEM(blockType string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})
}

// credentials are the keys and certificates of one control plane.
type credentials struct {
	authority         []byte // PEM
	admin             keyPair
	controllerManager keyPair
	files             credentialFiles
}

// credentialFiles are the paths under which the servers find what they need of them.
type credentialFiles struct {
	authority         string
	serverCertificate string
	serverKey         string
	serviceAccountKey string
}

// newCredentials makes all keys and certificates afresh and writes those that servers read from files to a
// directory that only this user can enter.
func newCredentials(dir string) (credentials, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return credentials{}, err
	}
	ca, err := newAuthority()
	if err != nil {
		return credentials{}, err
	}
	c := credentials{authority: ca.pem, files: credentialFiles{
		authority:         filepath.Join(dir, "ca.crt"),
		serverCertificate: filepath.Join(dir, "kube-apiserver.crt"),
		serverKey:         filepath.Join(dir, "kube-apiserver.key"),
		serviceAccountKey: filepath.Join(dir, "service-account.key"),
	}}
	server, err := ca.server()
	if err != nil {
		return credentials{}, err
	}
	if c.admin, err = ca.client("localkube-admin", "system:masters"); err != nil {
		return credentials{}, err
	}
	if c.controllerManager, err = ca.client("system:kube-controller-manager"); err != nil {
		return credentials{}, err
	}
	signer, err := newKey()
	if err != nil {
		return credentials{}, err
	}
	serviceAccountKey, err := encodeKey(signer)
	if err != nil {
		return credentials{}, err
	}
	for path, content := range map[string][]byte{
		c.files.authority:         ca.pem,
		c.files.serverCertificate: server.certificate,
		c.files.serverKey:         server.key,
		c.files.serviceAccountKey: serviceAccountKey,
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return credentials{}, err
		}
	}
	return c, nil
}
