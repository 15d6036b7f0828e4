"""One model and its queue: requests from many threads, answered by the one thread that runs the engine."""
