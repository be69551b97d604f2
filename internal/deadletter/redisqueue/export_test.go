package redisqueue

// StartProxy returns a way to the server of a URL for tests outside the package, and what ends it for good.
var StartProxy = startProxy

// Refuse ends all connections and every new one.
func (p *proxy) Refuse() { p.refuse(true) }
