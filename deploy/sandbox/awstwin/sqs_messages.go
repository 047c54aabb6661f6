// Messages: at least once, hidden for a while after each receipt, deleted by the handle of the last receipt only.

package awstwin

import (
	"strconv"
	"time"
)

func sendMessage(c *call, in *queueInput) (any, error) {
	q, err := in.queue(c)
	if err != nil {
		return nil, err
	}
	if in.MessageBody == "" {
		return nil, fail("MissingParameter", "The request must contain the parameter MessageBody.")
	}
	if len(in.MessageBody) > q.number("MaximumMessageSize") {
		return nil, fail("InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than %s bytes.", q.attributes["MaximumMessageSize"])
	}
	m := q.send(c.org, in.MessageBody, nil, c.at, time.Duration(max(in.DelaySeconds, q.number("DelaySeconds")))*time.Second)
	return map[string]any{"MessageId": m.id, "MD5OfMessageBody": md5Hex(m.body)}, nil
}

// receiveMessage gives up to ten messages and hides them for the visibility timeout. With WaitTimeSeconds (20 at most) an
// empty answer waits: until something changes, or as long as was asked for.
func receiveMessage(c *call, in *queueInput) (any, error) {
	q, err := in.queue(c)
	if err != nil {
		return nil, err
	}
	n, err := within("MaxNumberOfMessages", in.MaxNumberOfMessages, 1, 1, 10)
	if err != nil {
		return nil, err
	}
	hide, err := within("VisibilityTimeout", in.VisibilityTimeout, q.number("VisibilityTimeout"), 0, 43200)
	if err != nil {
		return nil, err
	}
	wait, err := within("WaitTimeSeconds", in.WaitTimeSeconds, q.number("ReceiveMessageWaitTimeSeconds"), 0, 20)
	if err != nil {
		return nil, err
	}
	found := []any{}
	for _, m := range q.messages {
		if len(found) < n && !m.visible.After(c.at) {
			found = append(found, c.take(m, time.Duration(hide)*time.Second))
		}
	}
	if len(found) == 0 && wait > 0 && !c.waited {
		c.patience = time.Duration(wait) * time.Second
		return nil, errWaiting
	}
	if len(found) == 0 {
		return empty{}, nil
	}
	return map[string]any{"Messages": found}, nil
}

func within(name string, v *int, def, low, high int) (int, error) {
	if v == nil {
		return def, nil
	}
	if *v < low || *v > high {
		return 0, fail("InvalidParameterValue", "Value %d for parameter %s is invalid. Reason: Must be >= %d and <= %d, if provided.", *v, name, low, high)
	}
	return *v, nil
}

func (c *call) take(m *message, hide time.Duration) map[string]any {
	m.received++
	m.visible, m.receipt = c.at.Add(hide), c.org.lower(48)
	if m.firstSeen.IsZero() {
		m.firstSeen = c.at
	}
	v := map[string]any{"MessageId": m.id, "ReceiptHandle": m.receipt, "Body": m.body, "MD5OfBody": md5Hex(m.body),
		"Attributes": map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.received), "SentTimestamp": strconv.FormatInt(m.sent.UnixMilli(), 10),
			"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.firstSeen.UnixMilli(), 10)}}
	if len(m.attributes) > 0 {
		attrs := map[string]any{}
		for k, s := range m.attributes {
			attrs[k] = map[string]any{"DataType": "String", "StringValue": s}
		}
		v["MessageAttributes"] = attrs
	}
	return v
}

// byReceipt finds a message by the handle of its last receipt; an older handle no longer deletes it.
func (q *queue) byReceipt(handle string) int {
	for i, m := range q.messages {
		if m.receipt != "" && m.receipt == handle {
			return i
		}
	}
	return -1
}

func deleteMessage(c *call, in *queueInput) (any, error) {
	q, err := in.queue(c)
	if err != nil {
		return nil, err
	}
	if i := q.byReceipt(in.ReceiptHandle); i >= 0 {
		q.messages = append(q.messages[:i:i], q.messages[i+1:]...)
	}
	return empty{}, nil // deleting once more is no error
}

func deleteBatch(c *call, in *queueInput) (any, error) {
	q, err := in.queue(c)
	if err != nil {
		return nil, err
	}
	if len(in.Entries) == 0 {
		return nil, fail("EmptyBatchRequest", "There should be at least one DeleteMessageBatchRequestEntry in the request.")
	}
	if len(in.Entries) > 10 {
		return nil, fail("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent %d.", len(in.Entries))
	}
	done := []any{}
	for _, e := range in.Entries {
		if i := q.byReceipt(e.ReceiptHandle); i >= 0 {
			q.messages = append(q.messages[:i:i], q.messages[i+1:]...)
		}
		done = append(done, map[string]any{"Id": e.Id})
	}
	return map[string]any{"Successful": done, "Failed": []any{}}, nil
}

func changeVisibility(c *call, in *queueInput) (any, error) {
	q, err := in.queue(c)
	if err != nil {
		return nil, err
	}
	if in.VisibilityTimeout == nil {
		return nil, fail("MissingParameter", "The request must contain the parameter VisibilityTimeout.")
	}
	n, err := within("VisibilityTimeout", in.VisibilityTimeout, 0, 0, 43200)
	if err != nil {
		return nil, err
	}
	i := q.byReceipt(in.ReceiptHandle)
	if i < 0 {
		return nil, fail("ReceiptHandleIsInvalid", "The input receipt handle %q is not a valid receipt handle.", in.ReceiptHandle)
	}
	if !q.messages[i].visible.After(c.at) {
		return nil, fail("MessageNotInflight", "Value %s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.", in.ReceiptHandle)
	}
	q.messages[i].visible = c.at.Add(time.Duration(n) * time.Second)
	return empty{}, nil
}

// poll lets a long poll wait outside the lock: for a change of the organisation, or for its time to be over. It looks
// again every second as well, since a message may become visible by the clock alone. A caller who has gone takes nothing.
func (o *Organization) poll(c *call, cred credential) (any, error) {
	changes, cancel := o.Subscribe() // before the next look, so that nothing slips in between
	defer cancel()
	deadline := time.Now().Add(c.patience)
	for {
		out, err := o.attempt(c, cred)
		if err != errWaiting {
			return out, err
		}
		left := time.Until(deadline)
		if left <= 0 {
			c.waited = true
			continue
		}
		t := time.NewTimer(min(left, time.Second))
		select {
		case <-changes:
		case <-t.C:
		case <-c.ctx.Done():
			t.Stop()
			return nil, fail("RequestAborted", "the caller has gone")
		}
		t.Stop()
	}
}
