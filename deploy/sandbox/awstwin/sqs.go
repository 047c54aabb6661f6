// SQS standard queues. The host in a queue's URL does not matter here; the account and the name behind it do.

package awstwin

import (
	"crypto/md5"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// queue is a standard SQS queue: at least once, with a visibility timeout.
type queue struct {
	name, url, arn string
	attributes     map[string]string
	messages       []*message
	created        time.Time
}

type message struct {
	id, body   string
	receipt    string
	sent       time.Time
	visible    time.Time
	received   int
	attributes map[string]string
	firstSeen  time.Time
}

func sqsService() *service {
	data := func(op *operation) *operation { op.data = true; return op }
	return &service{name: "sqs", scope: "sqs", target: "AmazonSQS", source: "sqs.amazonaws.com", prefix: "sqs", proto: protoJSON,
		ops: map[string]*operation{
			"CreateQueue":             writes(createQueue).on(queueARN),
			"GetQueueUrl":             reads(getQueueURL).on(queueARN),
			"ListQueues":              reads(listQueues),
			"GetQueueAttributes":      reads(getQueueAttributes).on(queueARN),
			"SetQueueAttributes":      writes(setQueueAttributes).on(queueARN),
			"DeleteQueue":             writes(deleteQueue).on(queueARN),
			"PurgeQueue":              writes(purgeQueue).on(queueARN),
			"SendMessage":             data(writes(sendMessage).on(queueARN)),
			"ReceiveMessage":          data(writes(receiveMessage).on(queueARN)),
			"DeleteMessage":           data(writes(deleteMessage).on(queueARN)),
			"DeleteMessageBatch":      data(writes(deleteBatch).on(queueARN).as("sqs:DeleteMessage")),
			"ChangeMessageVisibility": data(writes(changeVisibility).on(queueARN)),
		}}
}

type queueInput struct {
	QueueUrl, QueueName, QueueNamePrefix string
	Attributes                           map[string]string
	AttributeNames                       []string
	MessageSystemAttributeNames          []string
	MessageBody, ReceiptHandle           string
	MaxNumberOfMessages                  *int
	VisibilityTimeout, WaitTimeSeconds   *int
	DelaySeconds                         int
	Entries                              []struct{ Id, ReceiptHandle string }
}

func queueARN(c *call) []string {
	var in queueInput
	_ = c.decode(&in)
	name := in.QueueName
	if name == "" {
		name = in.QueueUrl[strings.LastIndexByte(in.QueueUrl, '/')+1:]
	}
	return []string{c.place().arn("sqs", name)}
}

// queue finds a queue by its URL: the host does not matter, account and name do.
func (in *queueInput) queue(c *call) (*queue, error) {
	parts := strings.Split(strings.TrimSuffix(in.QueueUrl, "/"), "/")
	if len(parts) >= 2 && parts[len(parts)-2] == c.who.account {
		if q := c.place().queues[parts[len(parts)-1]]; q != nil {
			return q, nil
		}
	}
	return nil, noQueue()
}

func noQueue() *Error {
	return fail("QueueDoesNotExist", "The specified queue does not exist.").with("query", "AWS.SimpleQueueService.NonExistentQueue")
}

// AddQueue makes a queue and returns its URL, under the host that the twin is reached by ("http://127.0.0.1:4566").
func (o *Organization) AddQueue(accountID, region, name, base string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	return o.addQueue(o.must(accountID).in(region), name, base, nil).url
}

// Enqueue puts a message into a queue, as EventBridge does for a rule.
func (o *Organization) Enqueue(accountID, region, name, body string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if q := o.must(accountID).in(region).queues[name]; q != nil {
		q.send(o, body, nil, o.cfg.Now(), 0)
	}
	o.changed()
}

func (o *Organization) addQueue(r *regional, name, base string, attributes map[string]string) *queue {
	q := &queue{name: name, url: base + "/" + r.account + "/" + name, arn: r.arn("sqs", name), created: o.cfg.Now(), attributes: map[string]string{
		"VisibilityTimeout": "30", "DelaySeconds": "0", "MessageRetentionPeriod": "345600", "ReceiveMessageWaitTimeSeconds": "0", "MaximumMessageSize": "1048576"}}
	maps.Copy(q.attributes, attributes)
	r.queues[name] = q
	return q
}

func (o *Organization) queueByARN(arn string) *queue {
	p := strings.SplitN(arn, ":", 6)
	if len(p) != 6 || o.accounts[p[4]] == nil {
		return nil
	}
	return o.accounts[p[4]].in(p[3]).queues[p[5]]
}

func (q *queue) send(o *Organization, body string, attributes map[string]string, now time.Time, delay time.Duration) *message {
	m := &message{id: o.uuid(), body: body, sent: now, visible: now.Add(delay), attributes: attributes}
	q.messages = append(q.messages, m)
	return m
}

func (q *queue) number(name string) int {
	n, _ := strconv.Atoi(q.attributes[name])
	return n
}

func createQueue(c *call, in *queueInput) (any, error) {
	const chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	if len(in.QueueName) > 80 || !only(strings.TrimSuffix(in.QueueName, ".fifo"), chars) {
		return nil, fail("InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	if q := c.place().queues[in.QueueName]; q != nil {
		for k, v := range in.Attributes {
			if q.attributes[k] != v {
				return nil, fail("QueueAlreadyExists", "A queue already exists with the same name and a different value for attribute %s", k)
			}
		}
		return map[string]any{"QueueUrl": q.url}, nil
	}
	q := c.org.addQueue(c.place(), in.QueueName, c.host(), in.Attributes)
	return map[string]any{"QueueUrl": q.url}, nil
}

// host is the address that the caller used, for the URLs in answers.
func (c *call) host() string {
	if c.req == nil {
		return "http://aws.sandbox"
	}
	return "http://" + c.req.Host
}

func getQueueURL(c *call, in *queueInput) (any, error) {
	if q := c.place().queues[in.QueueName]; q != nil {
		return map[string]any{"QueueUrl": q.url}, nil
	}
	return nil, noQueue()
}

func listQueues(c *call, in *queueInput) (any, error) {
	urls := []string{}
	for _, name := range slices.Sorted(maps.Keys(c.place().queues)) {
		if strings.HasPrefix(name, in.QueueNamePrefix) {
			urls = append(urls, c.place().queues[name].url)
		}
	}
	return map[string]any{"QueueUrls": urls}, nil
}

func getQueueAttributes(c *call, in *queueInput) (any, error) {
	q, err := in.queue(c)
	if err != nil {
		return nil, err
	}
	ready, flight, delayed := 0, 0, 0
	for _, m := range q.messages {
		switch {
		case !m.visible.After(c.at):
			ready++
		case m.received > 0:
			flight++
		default:
			delayed++
		}
	}
	all := maps.Clone(q.attributes)
	all["QueueArn"], all["ApproximateNumberOfMessages"] = q.arn, strconv.Itoa(ready)
	all["ApproximateNumberOfMessagesNotVisible"], all["ApproximateNumberOfMessagesDelayed"] = strconv.Itoa(flight), strconv.Itoa(delayed)
	all["CreatedTimestamp"] = strconv.FormatInt(q.created.Unix(), 10)
	if !slices.Contains(in.AttributeNames, "All") {
		maps.DeleteFunc(all, func(k, _ string) bool { return !slices.Contains(in.AttributeNames, k) })
	}
	return map[string]any{"Attributes": all}, nil
}

func setQueueAttributes(c *call, in *queueInput) (any, error) {
	q, err := in.queue(c)
	if err != nil {
		return nil, err
	}
	maps.Copy(q.attributes, in.Attributes)
	return empty{}, nil
}

func deleteQueue(c *call, in *queueInput) (any, error) {
	q, err := in.queue(c)
	if err != nil {
		return nil, err
	}
	delete(c.place().queues, q.name)
	return empty{}, nil
}

func purgeQueue(c *call, in *queueInput) (any, error) {
	q, err := in.queue(c)
	if err != nil {
		return nil, err
	}
	q.messages = nil
	return empty{}, nil
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}
