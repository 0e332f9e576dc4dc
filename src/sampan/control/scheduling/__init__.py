"""The parts of the scheduler in the cluster: API objects read into the core's words, the cluster followed, answers carried out."""
