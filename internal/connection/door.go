package connection

// doors say which connections further objects may be bound to. A connection's door opens when what it needs is held by
// finalizers, and shuts before they are taken off. So nobody who passes it can find the key gone afterwards. All are shut at first.
type doors map[Key]*door

type door struct {
	open bool
	// passing counts the objects that are being bound.
	passing int
}

// Open lets objects be bound to a connection, and wakes those that wait for that.
func (p *Pool) Open(key Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.doors[key]
	if d == nil {
		d = &door{}
		p.doors[key] = d
	}
	if d.open {
		return
	}
	d.open = true
	go p.publish(Change{Keys: []Key{key}, Health: true})
}

// IsOpen tells whether objects may be bound to a connection.
func (p *Pool) IsOpen(key Key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.doors[key]
	return d != nil && d.open
}

// Shut lets no further object be bound to a connection, and tells whether none is being bound at this moment. Where one
// is, what it writes is not to be seen yet.
func (p *Pool) Shut(key Key) (quiet bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.doors[key]
	if d == nil {
		return true
	}
	d.open = false
	return d.passing == 0
}

// Bind tells whether an object may be bound to a connection. If so, done must be called when the binding has been
// written, or has failed to be.
func (p *Pool) Bind(key Key) (done func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.doors[key]
	if d == nil || !d.open {
		return nil, false
	}
	d.passing++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		d.passing--
	}, true
}
