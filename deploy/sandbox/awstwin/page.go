// Lists that come in pages.

package awstwin

import (
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"sort"
	"strings"
)

// paging is the common request of AWS's lists.
type paging struct {
	MaxResults int    `json:"MaxResults"`
	NextToken  string `json:"NextToken"`
}

// page cuts one page out of a list. The token carries the key of the last item given, so that items which come or go
// between two pages neither repeat nor hide others; it is bound to the question that it was given for.
func page[T any](items []T, key func(T) string, p paging, limit int, question string, bad func() *Error) ([]T, string, error) {
	type keyed struct {
		key  string
		item T
	}
	all := make([]keyed, len(items))
	for i, item := range items {
		all[i] = keyed{key(item), item}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].key < all[j].key })
	all, next, err := pageSorted(all, func(k keyed) string { return k.key }, p, limit, question, bad)
	items = items[:0]
	for _, k := range all {
		items = append(items, k.item)
	}
	return items, next, err
}

// pageSorted is page for items that are in the order of their keys; it looks at no more of them than it must.
func pageSorted[T any](items []T, key func(T) string, p paging, limit int, question string, bad func() *Error) ([]T, string, error) {
	size := p.MaxResults
	switch {
	case size == 0:
		size = limit
	case size < 1:
		return nil, "", invalid("maxResults", fmt.Sprint(size), "Member must have value greater than or equal to 1")
	case size > limit:
		return nil, "", invalid("maxResults", fmt.Sprint(size), fmt.Sprintf("Member must have value less than or equal to %d", limit))
	}
	if p.NextToken != "" {
		last, ok := openToken(p.NextToken, question)
		if !ok {
			return nil, "", bad()
		}
		items = items[sort.Search(len(items), func(i int) bool { return key(items[i]) > last }):]
	}
	if len(items) <= size {
		return items, "", nil
	}
	items = items[:size]
	return items, sealToken(key(items[size-1]), question), nil
}

func sealToken(last, question string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(digest(question) + "|" + last))
}

func openToken(token, question string) (string, bool) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", false
	}
	sum, last, ok := strings.Cut(string(b), "|")
	return last, ok && sum == digest(question)
}

func digest(s string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	return fmt.Sprintf("%016x", h.Sum64())
}

func badToken() *Error { return fail("ValidationException", "Invalid pagination token") }

// self is the key function of a list of strings.
func self(s string) string { return s }

// some keeps an empty list a list: AWS answers [] where Go would write null.
func some[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
