"""What every driver needs: a place to stand, a recording proxy, child processes, a bare watcher."""
