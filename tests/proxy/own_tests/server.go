// Package toxiproxy stands in for Toxiproxy's own root package under its tests: what they start, change and stop in
// their own process is, behind the same names, a proxy of the server that already listens, changed over its API.
package toxiproxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/Shopify/toxiproxy/v2/collectors"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

const api = "http://127.0.0.1:8475"

type metricsContainer struct {
	ProxyMetrics *collectors.ProxyMetricCollectors
}

func NewMetricsContainer(*prometheus.Registry) *metricsContainer { return &metricsContainer{} }

type ApiServer struct {
	Collection *ProxyCollection
	Metrics    *metricsContainer
}

func NewServer(metrics *metricsContainer, _ zerolog.Logger) *ApiServer {
	return &ApiServer{Collection: &ProxyCollection{}, Metrics: metrics}
}

// Listen has nothing to do: the server is a process of its own.
func (server *ApiServer) Listen(string) error { return nil }

// ask makes one request with a JSON body, and reads the answer into `into` unless that is nil.
func ask(method, path string, body, into any) error {
	var content io.Reader
	if raw, ok := body.(io.Reader); ok {
		content = raw
	} else if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, api+path, content)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

func proxyPath(name string) string { return "/proxies/" + url.PathEscape(name) }
