package ingest

// Waiting returns how many events wait for a commit or are in one.
func Waiting(s *Service) int {
	s.committer.mu.Lock()
	defer s.committer.mu.Unlock()
	return s.committer.events
}
