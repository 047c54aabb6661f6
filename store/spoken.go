package store

import "time"

// Spoken is one message of a request as people saw it. A message that is edited has one for each of its texts.
type Spoken struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`              // of the notice
	Message string    `json:"message,omitempty"` // what it is called where it is edited later
	To      string    `json:"to,omitempty"`      // whose eyes it was for
	Channel string    `json:"channel,omitempty"`
	TS      string    `json:"ts,omitempty"`
	Text    string    `json:"text"`
}

// speak keeps what was said, for the archive: Slack lets an app read nothing back that it was not given the right to, and others can edit it there.
func speak(t tx, at time.Time, n *Notice, ref Ref) error {
	number, ok := n.Request.number()
	if !ok || ref.Said == "" {
		return nil
	}
	s := Spoken{At: Moment(at), Kind: n.Kind, Message: n.Message, To: n.To, Channel: ref.Channel, TS: ref.TS, Text: ref.Said}
	return save(t, "spoken", join(u64(number), u64(n.Seq)), s)
}

// SpokenOf reads what was said about a request, in order.
func (db *DB) SpokenOf(id ID) (out []Spoken, err error) {
	number, ok := id.number()
	if !ok {
		return nil, ErrNotFound
	}
	err = db.e.view(func(t tx) error {
		var bad error
		t.scan("spoken", u64(number), func(k, v []byte) bool {
			if fromU64(k) != number {
				return false
			}
			var s Spoken
			if bad = decode("spoken", k, v, &s); bad != nil {
				return false
			}
			out = append(out, s)
			return true
		})
		return bad
	})
	return out, err
}
