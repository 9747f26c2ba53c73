# The beginning of the image's configuration.py: what NetBox requires, from the environment. `start` puts the configuration.py
# of this directory after it.
from os import environ

ALLOWED_HOSTS = environ.get('NETBOX_ALLOWED_HOSTS', 'netbox localhost 127.0.0.1').split()
SECRET_KEY = environ['NETBOX_SECRET_KEY']
API_TOKEN_PEPPERS = {1: environ['NETBOX_TOKEN_PEPPER']}

DATABASES = {
    'default': {
        'HOST': environ['POSTGRES_HOST'],
        'PORT': environ.get('POSTGRES_PORT', '5432'),
        'NAME': environ.get('POSTGRES_DB', 'netbox'),
        'USER': environ.get('POSTGRES_USER', 'netbox'),
        'PASSWORD': environ['POSTGRES_PASSWORD'],
        'CONN_MAX_AGE': 300,
    }
}

_redis = {'HOST': environ['REDIS_HOST'], 'PORT': int(environ.get('REDIS_PORT', '6379')), 'SSL': False}
REDIS = {'tasks': {**_redis, 'DATABASE': 0}, 'caching': {**_redis, 'DATABASE': 1}}

# Nothing is asked of, or told to, anybody outside.
CENSUS_REPORTING_ENABLED = False
RELEASE_CHECK_URL = None

