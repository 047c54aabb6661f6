package aws

import (
	"context"
	"fmt"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"

	"breakglass/store"
)

// status is how a change stands. A failure that was read from a list comes without its reason.
type status struct {
	progress store.Progress
	reason   string
	listed   bool
}

// statuses asks how changes stand, creations and removals each by themselves: AWS keeps them apart, the id of one is unknown to the other's calls.
//
// One change is described. Where several are followed at the same time, they share a list of the newest (ListAccountAssignment…Status
// gives the newest first and has no reasons), and the rounds are spaced by how many there are: following must not use up the quota that the
// changes themselves need.
type statuses struct {
	c       *Connection
	out     *outstanding
	removal bool
	rounds  *rounds[map[string]status]
	refused *expiring // set while the list is known to be refused

	mu    sync.Mutex
	begun time.Time         // the last round
	ended map[string]status // ends that a list told before anybody asked: an end does not change any more
}

func newStatuses(c *Connection, removal bool) *statuses {
	return &statuses{c: c, out: c.out, removal: removal, rounds: newRounds[map[string]status](c.ssoAdmin),
		refused: &expiring{now: time.Now}, ended: map[string]status{}}
}

// of returns how a change stands. The error is the SDK's; missing where AWS does not know the change.
func (s *statuses) of(ctx context.Context, instance, change string) (status, error) {
	if st, ok := s.told(change); ok {
		return st, nil
	}
	if s.refused.is() {
		return s.describe(ctx, s.c.ssoAdmin.wait, instance, change)
	}
	all, err := s.rounds.ask(ctx, instance, change, s.pause(), func(ctx context.Context, enter func(context.Context) error, about []string) (map[string]status, error) {
		s.mu.Lock()
		s.begun = time.Now()
		s.mu.Unlock()
		if len(about) > 1 {
			return s.list(ctx, enter, instance, about)
		}
		st, err := s.describe(ctx, enter, instance, change)
		return map[string]status{change: st}, err
	})
	if refusals[code(err)] && s.refused.is() {
		return s.describe(ctx, s.c.ssoAdmin.wait, instance, change)
	}
	if err != nil {
		return status{}, err
	}
	st, ok := all[change]
	if !ok || st.listed && st.progress == store.Refused {
		return s.describe(ctx, s.c.ssoAdmin.wait, instance, change)
	}
	return st, nil
}

const (
	pauseEach = 20 * time.Millisecond // between rounds, for each change that is followed: with fifteen a change is asked after every 300 ms
	pauseMost = 2 * time.Second

	pageMost  = 100 // statuses to a page (API reference)
	pagesMost = 3   // pages in a round; what is older is described
)

// pause is how long the next round waits for others to join it.
func (s *statuses) pause() time.Duration {
	n := s.out.many(s.removal)
	if n <= 2 {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Until(s.begun.Add(min(time.Duration(n)*pauseEach, pauseMost)))
}

// told takes out an end that a list has told.
func (s *statuses) told(change string) (status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.ended[change]
	delete(s.ended, change)
	return st, ok
}

// list reads the newest until all that are asked about are found, and remembers the ends of others of ours, about which nobody asked this time. A
// refusal is remembered for a while.
func (s *statuses) list(ctx context.Context, enter func(context.Context) error, instance string, about []string) (map[string]status, error) {
	missed := make(map[string]bool, len(about))
	for _, change := range about {
		missed[change] = true
	}
	all := make(map[string]status, pageMost)
	var next *string
	for range pagesMost {
		items, more, err := s.page(ctx, enter, instance, next)
		if refusals[code(err)] {
			s.refused.set(10 * time.Minute)
			s.c.log.Warn("statuses of changes may not be listed, and are asked for one by one", "error", err)
		}
		if err != nil {
			return nil, err
		}
		for _, i := range items {
			change, st := sdk.ToString(i.RequestId), status{progress: store.Progress(i.Status), listed: true}
			all[change] = st
			if missed[change] {
				delete(missed, change)
			} else if s.out.hear(change, st.progress == store.Underway) && st.progress == store.Succeeded {
				s.remember(change, st)
			}
		}
		if next = more; len(missed) == 0 || sdk.ToString(next) == "" {
			break
		}
	}
	return all, nil
}

// remembered bounds what is kept for changes that nobody asks about again.
const remembered = 1000

func (s *statuses) remember(change string, st status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ended) >= remembered {
		clear(s.ended) // they are asked for again
	}
	s.ended[change] = st
}

// page is one call.
func (s *statuses) page(ctx context.Context, enter func(context.Context) error, instance string, next *string) ([]types.AccountAssignmentOperationStatusMetadata, *string, error) {
	q, most := s.c.ssoAdmin, sdk.Int32(pageMost)
	if s.removal {
		out, err := calling(ctx, s.c, q, enter, "ListAccountAssignmentDeletionStatus", reading, func(ctx context.Context) (*ssoadmin.ListAccountAssignmentDeletionStatusOutput, error) {
			return s.c.admin.ListAccountAssignmentDeletionStatus(ctx, &ssoadmin.ListAccountAssignmentDeletionStatusInput{InstanceArn: &instance, MaxResults: most, NextToken: next})
		})
		if err != nil {
			return nil, nil, err
		}
		return out.AccountAssignmentsDeletionStatus, out.NextToken, nil
	}
	out, err := calling(ctx, s.c, q, enter, "ListAccountAssignmentCreationStatus", reading, func(ctx context.Context) (*ssoadmin.ListAccountAssignmentCreationStatusOutput, error) {
		return s.c.admin.ListAccountAssignmentCreationStatus(ctx, &ssoadmin.ListAccountAssignmentCreationStatusInput{InstanceArn: &instance, MaxResults: most, NextToken: next})
	})
	if err != nil {
		return nil, nil, err
	}
	return out.AccountAssignmentsCreationStatus, out.NextToken, nil
}

// describe asks for one change, with the reason of a failure.
func (s *statuses) describe(ctx context.Context, enter func(context.Context) error, instance, change string) (status, error) {
	op := "DescribeAccountAssignmentCreationStatus"
	if s.removal {
		op = "DescribeAccountAssignmentDeletionStatus"
	}
	st, err := calling(ctx, s.c, s.c.ssoAdmin, enter, op, reading, func(ctx context.Context) (*types.AccountAssignmentOperationStatus, error) {
		if s.removal {
			out, err := s.c.admin.DescribeAccountAssignmentDeletionStatus(ctx, &ssoadmin.DescribeAccountAssignmentDeletionStatusInput{
				InstanceArn: &instance, AccountAssignmentDeletionRequestId: &change})
			if err != nil {
				return nil, err
			}
			return out.AccountAssignmentDeletionStatus, nil
		}
		out, err := s.c.admin.DescribeAccountAssignmentCreationStatus(ctx, &ssoadmin.DescribeAccountAssignmentCreationStatusInput{
			InstanceArn: &instance, AccountAssignmentCreationRequestId: &change})
		if err != nil {
			return nil, err
		}
		return out.AccountAssignmentCreationStatus, nil
	})
	if err == nil && st == nil {
		err = fmt.Errorf("AWS answered %s without a status", op)
	}
	if err != nil {
		return status{}, err
	}
	return status{progress: store.Progress(st.Status), reason: sdk.ToString(st.FailureReason)}, nil
}
