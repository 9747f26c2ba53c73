# For the end of NetBox's configuration.py.

# The 12 Hedgehog kinds as custom objects (`model: custom_objects`). Leave it out with the Hedgehog plugin.
PLUGINS = ['netbox_custom_objects']

# NetBox sends a webhook once. With these a failed one is sent again, three times, a minute apart.
RQ_RETRY_MAX = 3
RQ_RETRY_INTERVAL = 60

# Webhooks do not wait behind slow jobs.
QUEUE_MAPPINGS = {'webhook': 'high'}
