package entratest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A recordedResponse is a response, as the recordings have it.
type recordedResponse struct {
	Status  int
	Headers map[string]string
	Body    string
}

// A difference is a place where the responses to the same request differ. A value that one response
// does not have is "absent".
type difference struct {
	// where is "status", "header NAME", or the path of a member like "body.metadata[0].aliases".
	where              string
	recorded, emulated string
}

func (d difference) String() string {
	return fmt.Sprintf("%s: recorded %s, emulated %s", d.where, d.recorded, d.emulated)
}

// A comparison compares the responses of one recording with the emulator's, in order. It compares
// values too. Values that vary from response to response need the same format only. An identifier
// must be in the places where the recorded one is.
type comparison struct {
	exchange    int                  // index of the current exchange
	seen        [2]map[string]string // where each identifier was first; recorded, emulated
	differences []difference         // of the current exchange
}

func newComparison() *comparison {
	return &comparison{exchange: -1, seen: [2]map[string]string{{}, {}}}
}

const absent = "absent"

// masked is what the recorder wrote in place of identifiers and secrets.
const masked = "[REDACTED]"

// unrecorded are headers that the recordings leave out whatever the response had.
var unrecorded = []string{"Content-Length", "Set-Cookie", "X-Ms-Request-Id"}

// identifiers are the headers and members that hold the identifier of a request.
var identifiers = []string{"Client-Request-Id", "correlation_id", "trace_id"}

// formats are the formats of headers and members whose values vary.
var formats = map[string]*regexp.Regexp{
	"Date":             regexp.MustCompile(`^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$`),
	"X-Ms-Ests-Server": regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+ - \w+ ProdSlices$`),
	"Server":           regexp.MustCompile(`^IMDS/\d+\.\d+\.\d+\.\d+$`),

	"access_token":        regexp.MustCompile(`^.+$`),
	"client_info":         regexp.MustCompile(`^[\w-]+$`),
	"device_code":         regexp.MustCompile(`^.+$`),
	"domain_name":         regexp.MustCompile(`^[\w-]+(\.[\w-]+)+$`),
	"expires_in":          regexp.MustCompile(`^\d+$`),
	"expires_on":          regexp.MustCompile(`^\d+$`),
	"ext_expires_in":      regexp.MustCompile(`^\d+$`),
	"id_token":            regexp.MustCompile(`^[\w-]+\.[\w-]+\.[\w-]+$`),
	"interval":            regexp.MustCompile(`^\d+$`),
	"not_before":          regexp.MustCompile(`^\d+$`),
	"refresh_token":       regexp.MustCompile(`^.+$`),
	"scope":               regexp.MustCompile(`^[\w-]+/[\w.]+( [\w-]+/[\w.]+)*$`),
	"timestamp":           regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$`),
	"tenant_region_scope": regexp.MustCompile(`^[A-Z]{2}$`),
	"user_code":           regexp.MustCompile(`^[A-Z0-9]{9}$`),
}

var guidFormat = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// compare returns the differences between the responses of the next exchange.
func (c *comparison) compare(recorded, emulated recordedResponse) []difference {
	c.exchange++
	c.differences = nil
	c.values("status", fmt.Sprint(recorded.Status), fmt.Sprint(emulated.Status))
	c.members("header ", toMembers(recorded.Headers), toMembers(emulated.Headers))
	c.values("body", parseBody(recorded.Body), parseBody(emulated.Body))
	return c.differences
}

// parseBody returns the value of a JSON body, and any other body as it is.
func parseBody(body string) (value any) {
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil {
		return body
	}
	return value
}

// toMembers returns headers as the members of an object, without the unrecorded ones.
func toMembers(headers map[string]string) map[string]any {
	members := map[string]any{}
	for name, value := range headers {
		if name = http.CanonicalHeaderKey(name); !slices.Contains(unrecorded, name) {
			members[name] = value
		}
	}
	return members
}

// values compares two JSON values.
func (c *comparison) values(where string, recorded, emulated any) {
	r, recordedIsObject := recorded.(map[string]any)
	e, emulatedIsObject := emulated.(map[string]any)
	rs, recordedIsArray := recorded.([]any)
	es, emulatedIsArray := emulated.([]any)
	switch {
	case recorded == masked:
	case reflect.TypeOf(recorded) != reflect.TypeOf(emulated):
		c.add(where, fmt.Sprintf("%T", recorded), fmt.Sprintf("%T", emulated))
	case recordedIsObject && emulatedIsObject:
		c.members(where+".", withoutVariables(r), withoutVariables(e))
	case recordedIsArray && emulatedIsArray && len(rs) != len(es):
		c.add(where, fmt.Sprint(rs), fmt.Sprint(es))
	case recordedIsArray && emulatedIsArray:
		for i := range rs {
			c.values(fmt.Sprintf("%s[%d]", where, i), rs[i], es[i])
		}
	default:
		c.scalars(where, recorded, emulated)
	}
}

// members compares the members of two objects, in the order of their names.
func (c *comparison) members(prefix string, recorded, emulated map[string]any) {
	all := maps.Clone(recorded)
	maps.Copy(all, emulated)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		r, isRecorded := recorded[name]
		e, isEmulated := emulated[name]
		switch {
		case !isRecorded:
			c.add(prefix+name, absent, c.normalize(1, prefix+name, e))
		case !isEmulated:
			c.add(prefix+name, c.normalize(0, prefix+name, r), absent)
		default:
			c.values(prefix+name, r, e)
		}
	}
}

// withoutVariables replaces, in the texts of a body, what other members of the body have too.
func withoutVariables(body map[string]any) map[string]any {
	body = maps.Clone(body)
	for _, text := range []string{"error_description", "message"} {
		value, ok := body[text].(string)
		for _, name := range []string{"trace_id", "correlation_id", "timestamp", "user_code"} {
			variable, isText := body[name].(string)
			if ok && isText && variable != masked {
				value = strings.ReplaceAll(value, variable, "{"+name+"}")
				body[text] = value
			}
		}
	}
	return body
}

// scalars compares two values that are neither objects nor arrays.
func (c *comparison) scalars(where string, recorded, emulated any) {
	r, e := c.normalize(0, where, recorded), c.normalize(1, where, emulated)
	if r != e {
		c.add(where, r, e)
	}
}

// normalize returns a value's text: of one that varies its format, and of an identifier the place
// where it was first. side is 0 for recorded values and 1 for emulated ones.
func (c *comparison) normalize(side int, where string, value any) string {
	name, text := where[strings.LastIndexAny(where, ". ")+1:], fmt.Sprint(value)
	format := formats[name]
	switch {
	case slices.Contains(identifiers, name) && guidFormat.MatchString(text):
		if c.seen[side][text] == "" {
			c.seen[side][text] = fmt.Sprintf("the identifier of %d, %s", c.exchange, where)
		}
		return c.seen[side][text]
	case format != nil && format.MatchString(text):
		return format.String()
	}
	return text
}

func (c *comparison) add(where, recorded, emulated string) {
	c.differences = append(c.differences, difference{where, recorded, emulated})
}

// comparedPair is a pair of responses without differences.
func comparedPair() (recorded, emulated recordedResponse) {
	const body = `{"error":"invalid_grant","error_codes":[7],"error_description":` +
		`"AADSTS7: No. Trace ID: TRACE Timestamp: 2025-02-19 03:40:3%dZ","trace_id":"TRACE",` +
		`"timestamp":"2025-02-19 03:40:3%[1]dZ","expires_in":%[1]d}`
	response := func(n int) recordedResponse {
		guid := fmt.Sprintf("8afe3606-ea18-4ef4-bbd0-%012d", n)
		return recordedResponse{
			Status:  400,
			Headers: map[string]string{"Client-Request-Id": guid, "Pragma": "no-cache"},
			Body:    strings.ReplaceAll(fmt.Sprintf(body, n), "TRACE", guid),
		}
	}
	return response(1), response(2)
}

func TestComparisonFindsDifferences(t *testing.T) {
	replaceBody := func(old, new string) func(*recordedResponse) {
		return func(r *recordedResponse) { r.Body = strings.Replace(r.Body, old, new, 1) }
	}
	for name, test := range map[string]struct {
		change func(emulated *recordedResponse)
		where  string
	}{
		"no difference":  {func(*recordedResponse) {}, ""},
		"status":         {func(r *recordedResponse) { r.Status = 401 }, "status"},
		"missing header": {func(r *recordedResponse) { delete(r.Headers, "Pragma") }, "header Pragma"},
		"another header": {func(r *recordedResponse) { r.Headers["Expires"] = "-1" }, "header Expires"},
		"header value":   {func(r *recordedResponse) { r.Headers["Pragma"] = "no" }, "header Pragma"},
		"missing field":  {replaceBody(`"error":"invalid_grant",`, ""), "body.error"},
		"another field":  {replaceBody("{", `{"suberror":"",`), "body.suberror"},
		"OAuth error":    {replaceBody("invalid_grant", "invalid_client"), "body.error"},
		"type":           {replaceBody(`"expires_in":2`, `"expires_in":"2"`), "body.expires_in"},
		"format":         {replaceBody(`"expires_in":2`, `"expires_in":2.5`), "body.expires_in"},
		"code":           {replaceBody("[7]", "[8]"), "body.error_codes[0]"},
		"two codes":      {replaceBody("[7]", "[7,8]"), "body.error_codes"},
		"description":    {replaceBody("Trace ID: ", ""), "body.error_description"},
		"trace not in the description": {replaceBody("Trace ID: 8", "Trace ID: 9"),
			"body.error_description"},
		"trace of another request": {
			func(r *recordedResponse) { r.Body = strings.ReplaceAll(r.Body, "8afe", "8aff") },
			"body.trace_id",
		},
		"not JSON": {replaceBody("{", "<"), "body"},
	} {
		recorded, emulated := comparedPair()
		test.change(&emulated)
		var places []string
		for _, d := range newComparison().compare(recorded, emulated) {
			places = append(places, d.where)
		}
		if strings.Join(places, " ") != test.where {
			t.Errorf("%s: differences at %q", name, places)
		}
	}
}
