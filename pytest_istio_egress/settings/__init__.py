"""The settings of a run: options, ini file, environment variables, and the kubeconfig context."""
