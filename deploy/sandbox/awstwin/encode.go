// How answers and errors look on the wire. The SDKs choose their typed errors by X-Amzn-Errortype or __type for JSON, by
// Error/Code for XML, and by nothing but the status for HEAD: whatever is not of this form arrives as a failed parse.

package awstwin

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// epoch is a time as the JSON protocols write it: seconds with a fraction.
type epoch time.Time

// MarshalJSON writes seconds since 1970 with milliseconds.
func (e epoch) MarshalJSON() ([]byte, error) {
	t := time.Time(e)
	return strconv.AppendFloat(nil, float64(t.UnixMilli())/1000, 'f', -1, 64), nil
}

// stamp is a time as the query protocol and S3 write it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// raw is an answer that an operation has put together itself: S3's objects.
type raw struct {
	status int
	body   []byte
}

func writeAnswer(w http.ResponseWriter, c *call, out any) {
	h := w.Header()
	for k, v := range c.headers {
		h[k] = v
	}
	h.Set("X-Amzn-Requestid", c.id)
	if r, ok := out.(raw); ok {
		h.Set("X-Amz-Request-Id", c.id)
		w.WriteHeader(r.status)
		if c.req.Method != http.MethodHead {
			_, _ = w.Write(r.body)
		}
		return
	}
	switch c.svc.proto {
	case protoQuery:
		writeXML(w, 200, queryAnswer(c, out))
	case protoEC2:
		writeXML(w, 200, ec2Answer(c, out))
	case protoS3:
		n, _ := out.(node)
		writeXML(w, 200, n)
	default:
		writeJSON(w, c, 200, out)
	}
}

func writeJSON(w http.ResponseWriter, c *call, status int, out any) {
	ct := c.req.Header.Get("Content-Type")
	if c.svc == nil || c.svc.proto != protoJSON || ct == "" {
		ct = "application/json"
	}
	b, err := json.Marshal(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", ct)
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// writeError gives an error the shape from which the SDKs make their typed errors.
func writeError(w http.ResponseWriter, c *call, e *Error) {
	w.Header().Set("X-Amzn-Requestid", c.id)
	proto := protoJSON
	if c.svc != nil {
		proto = c.svc.proto
	}
	switch proto {
	case protoQuery:
		writeXML(w, e.Status, queryError(c, e))
	case protoEC2:
		writeXML(w, e.Status, ec2Error(c, e))
	case protoS3:
		w.Header().Set("X-Amz-Request-Id", c.id)
		if region := c.headers.Get("X-Amz-Bucket-Region"); region != "" {
			w.Header().Set("X-Amz-Bucket-Region", region)
		}
		if c.req.Method == http.MethodHead {
			w.WriteHeader(e.Status)
			return
		}
		writeXML(w, e.Status, s3Error(c, e))
	default:
		body := map[string]any{"__type": e.Code, "message": e.Message, "Message": e.Message}
		for k, v := range e.Fields {
			body[k] = v
		}
		w.Header().Set("X-Amzn-Errortype", e.Code)
		if c.svc != nil && c.svc.name == "sqs" {
			w.Header().Set("X-Amzn-Query-Error", queryErrorOfSQS(e)+";Sender")
		}
		writeJSON(w, c, e.Status, body)
	}
}

func queryErrorOfSQS(e *Error) string {
	if code, ok := e.Fields["query"].(string); ok {
		return code
	}
	return e.Code
}
