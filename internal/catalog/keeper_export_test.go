package catalog

// Waiting returns how many changes wait for the next transaction.
func Waiting(k *Keeper) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.queue)
}
