"""Published data of Kubernetes (see NOTICE), read once and lazily."""
