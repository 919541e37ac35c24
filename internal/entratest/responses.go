package entratest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// writeJSON writes a response whose Content-Type is JSON unless it is set already.
func writeJSON(w http.ResponseWriter, status int, body any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // fails only when the client is gone
}

// writeUncachedJSON is [writeJSON] with headers that forbid caching.
func writeUncachedJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.Header().Set("Pragma", "no-cache")
	writeJSON(w, status, body)
}

// setEntraHeaders sets the headers that all of Entra's JSON responses have. traceID is Entra's own
// identifier of the request; correlationID is the client's, "" if it sent none.
func setEntraHeaders(h http.Header, traceID, correlationID string) {
	h.Set("P3P", `CP="DSP CUR OTPi IND OTRi ONL FIN"`)
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("x-ms-ests-server", "2.1.20106.4 - WEULR1 ProdSlices")
	h.Set("x-ms-request-id", traceID)
	h.Set("x-ms-srs", "1.P")
	h.Set("X-XSS-Protection", "0")
	if correlationID != "" {
		h.Set("client-request-id", correlationID)
	}
}

// setDocumentHeaders sets the headers of Entra's public documents, which clients may cache.
func (s *Server) setDocumentHeaders(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	setEntraHeaders(h, guid("trace", s.nextSerial()), r.Header.Get("client-request-id"))
	h.Set("Access-Control-Allow-Methods", "GET, OPTIONS")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "max-age=86400, private")
	h.Set("Content-Type", "application/json; charset=utf-8")
}

// writeEntra writes a response of Entra that is not a public document.
func writeEntra(
	w http.ResponseWriter, status int, traceID, correlationID string, body any,
) {
	setEntraHeaders(w.Header(), traceID, correlationID)
	w.Header().Set("Expires", "-1")
	writeUncachedJSON(w, status, body)
}

// setClientTelemetry sets the header that the responses of the token and devicecode endpoints have.
// code is an AADSTS code, 0 for success.
func setClientTelemetry(w http.ResponseWriter, code int) {
	w.Header().Set("x-ms-clitelem", fmt.Sprintf("1,%d,0,,", code))
}
