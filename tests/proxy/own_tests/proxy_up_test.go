package toxiproxy_test

import (
	"net"
	"testing"
)

// AssertProxyUp is what api_test.go expects of the other test files of its package.
func AssertProxyUp(t *testing.T, addr string, up bool) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if (err == nil) != up {
		t.Errorf("%s: expected up %v, got %v", addr, up, err)
	}
	return conn
}
