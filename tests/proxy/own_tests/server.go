// Package toxiproxy stands in for Toxiproxy's own root package under its api_test.go: what those tests start in their
// own process is, behind the same names, the server that already listens at their address.
package toxiproxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

const api = "http://127.0.0.1:8475"

type metricsContainer struct{}

func NewMetricsContainer(*prometheus.Registry) *metricsContainer { return &metricsContainer{} }

type ApiServer struct {
	Collection *ProxyCollection
}

func NewServer(*metricsContainer, zerolog.Logger) *ApiServer {
	return &ApiServer{Collection: &ProxyCollection{}}
}

// Listen has nothing to do: the server is a process of its own.
func (server *ApiServer) Listen(string) error { return nil }

type ProxyCollection struct{}

// Clear deletes every proxy.
func (collection *ProxyCollection) Clear() error {
	answer, err := http.Get(api + "/proxies")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var proxies map[string]json.RawMessage
	if err := json.NewDecoder(answer.Body).Decode(&proxies); err != nil {
		return err
	}
	for name := range proxies {
		request, err := http.NewRequest(http.MethodDelete, api+"/proxies/"+url.PathEscape(name), nil)
		if err != nil {
			return err
		}
		deleted, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		deleted.Body.Close()
		if deleted.StatusCode != http.StatusNoContent {
			return fmt.Errorf("DELETE of proxy %s: %s", name, deleted.Status)
		}
	}
	return nil
}
