package toxiproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

var ErrProxyAlreadyStarted = errors.New("Proxy already started")

// numbers tell apart what each test calls "test": all of them, and those of the other packages, share one server.
var numbers atomic.Int64

func numbered(name string) string {
	return fmt.Sprintf("%s %d of %d", name, numbers.Add(1), os.Getpid())
}

// Proxy is one proxy of the server, which meets it when it is started for the first time.
type Proxy struct {
	Name     string `json:"name"`
	Listen   string `json:"listen"`
	Upstream string `json:"upstream"`
	Enabled  bool   `json:"enabled"`

	Toxics   *ToxicCollection `json:"-"`
	onServer string
	made     bool
}

func NewProxy(_ *ApiServer, name, listen, upstream string) *Proxy {
	proxy := &Proxy{Name: name, Listen: listen, Upstream: upstream, onServer: numbered(name)}
	proxy.Toxics = &ToxicCollection{proxy: proxy}
	return proxy
}

func (proxy *Proxy) Start() error {
	if !proxy.made {
		described := &Proxy{Name: proxy.onServer, Listen: proxy.Listen, Upstream: proxy.Upstream}
		if err := ask("POST", "/proxies", described, nil); err != nil {
			return err
		}
		proxy.made = true
	}
	var now Proxy
	if err := ask("GET", proxyPath(proxy.onServer), nil, &now); err != nil {
		return err
	}
	if now.Enabled {
		return ErrProxyAlreadyStarted
	}
	return proxy.Update(&Proxy{Listen: proxy.Listen, Upstream: proxy.Upstream, Enabled: true})
}

func (proxy *Proxy) Stop() {
	if proxy.made {
		if err := proxy.Update(&Proxy{Listen: proxy.Listen, Upstream: proxy.Upstream}); err != nil {
			panic(err)
		}
	}
}

func (proxy *Proxy) Update(input *Proxy) error {
	var now Proxy
	body := map[string]any{"listen": input.Listen, "upstream": input.Upstream, "enabled": input.Enabled}
	if err := ask("PATCH", proxyPath(proxy.onServer), body, &now); err != nil {
		return err
	}
	proxy.Listen, proxy.Upstream, proxy.Enabled = now.Listen, now.Upstream, now.Enabled
	return nil
}

// Differs says whether an update to `other` restarts the proxy: whether a connection made before it ends.
func (proxy *Proxy) Differs(other *Proxy) (bool, error) {
	connection, err := net.Dial("tcp", proxy.Listen)
	if err != nil {
		return false, err
	}
	defer connection.Close()
	if err := proxy.Update(other); err != nil {
		return false, err
	}
	connection.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	_, err = connection.Read(make([]byte, 1))
	return !errors.Is(err, os.ErrDeadlineExceeded), nil
}

// ToxicCollection is the toxics of one proxy.
type ToxicCollection struct{ proxy *Proxy }

func (collection *ToxicCollection) AddToxicJson(toxic io.Reader) (map[string]any, error) {
	var added map[string]any
	err := ask("POST", proxyPath(collection.proxy.onServer)+"/toxics", toxic, &added)
	return added, err
}

func (collection *ToxicCollection) RemoveToxic(_ context.Context, name string) error {
	return ask("DELETE", proxyPath(collection.proxy.onServer)+"/toxics/"+url.PathEscape(name), nil, nil)
}

func (collection *ToxicCollection) ResetToxics(ctx context.Context) {
	var toxics []struct{ Name string }
	if err := ask("GET", proxyPath(collection.proxy.onServer)+"/toxics", nil, &toxics); err != nil {
		panic(err)
	}
	for _, toxic := range toxics {
		if err := collection.RemoveToxic(ctx, toxic.Name); err != nil {
			panic(err)
		}
	}
}

// ProxyCollection is the proxies of the server whose names end as this collection's do.
type ProxyCollection struct{ suffix string }

func NewProxyCollection() *ProxyCollection {
	return &ProxyCollection{suffix: numbered(" of collection")}
}

func (collection *ProxyCollection) Add(proxy *Proxy, start bool) error {
	name := proxy.Name + collection.suffix
	described := &Proxy{Name: name, Listen: proxy.Listen, Upstream: proxy.Upstream, Enabled: start}
	return ask("POST", "/proxies", described, nil)
}

func (collection *ProxyCollection) Get(name string) (*Proxy, error) {
	var proxy Proxy
	err := ask("GET", proxyPath(name+collection.suffix), nil, &proxy)
	return &proxy, err
}

func (collection *ProxyCollection) Remove(name string) error {
	return ask("DELETE", proxyPath(name+collection.suffix), nil, nil)
}

func (collection *ProxyCollection) Proxies() map[string]*Proxy {
	var all map[string]*Proxy
	if err := ask("GET", "/proxies", nil, &all); err != nil {
		panic(err)
	}
	proxies := map[string]*Proxy{}
	for name, proxy := range all {
		if own, found := strings.CutSuffix(name, collection.suffix); found {
			proxies[own] = proxy
		}
	}
	return proxies
}

// Clear deletes every proxy of the collection.
func (collection *ProxyCollection) Clear() error {
	for name := range collection.Proxies() {
		if err := collection.Remove(name); err != nil {
			return err
		}
	}
	return nil
}
