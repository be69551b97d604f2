// Package tail sends the log to readers as it grows. One follower per process reads each piece of the log once, while there
// is a reader, and keeps the newest events in a ring, encoded as they are sent. Readers that stand behind the ring read
// from the store, few at once. No reader can make the memory grow: who is too slow is sent away and resumes later.
package tail
