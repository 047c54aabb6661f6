// What belongs to an account and a Region is made when it is first touched, since any Region may be called.

package awstwin

import "time"

// regional is what an account has in one Region.
type regional struct {
	account, region string
	instances       map[string]*instanceState
	logGroups       map[string]*logGroup
	queries         map[string]*query // of Logs Insights
	databases       map[string]*database
	tables          map[string]map[string]any // DynamoDB: items by their JSON, enough to write one
	sessions        []*ssmSession
	parameters      map[string]*parameter
	secrets         map[string]*secret
	keys            map[string]*kmsKey
	athena          map[string]*athenaRun
	workgroups      map[string]string // of Athena, with where their results go
	trailTables     []trailTable
	preferences     *SessionPreferences // of Session Manager; nil: none were ever set
	queues          map[string]*queue
	identities      map[string]bool // SES: verified or not
	production      bool            // SES out of its sandbox
	paused          bool
	sent            []time.Time
}

func (a *account) in(region string) *regional {
	r := a.regions[region]
	if r == nil {
		r = &regional{account: a.id, region: region, instances: map[string]*instanceState{}, logGroups: map[string]*logGroup{}, queries: map[string]*query{},
			databases: map[string]*database{}, tables: map[string]map[string]any{}, parameters: map[string]*parameter{},
			secrets: map[string]*secret{}, keys: map[string]*kmsKey{},
			athena: map[string]*athenaRun{}, workgroups: map[string]string{}, queues: map[string]*queue{}, identities: map[string]bool{}}
		a.regions[region] = r
	}
	return r
}

// arn makes the ARN of something in this account and Region.
func (r *regional) arn(service, resource string) string {
	return "arn:aws:" + service + ":" + r.region + ":" + r.account + ":" + resource
}
