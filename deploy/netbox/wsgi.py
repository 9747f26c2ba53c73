"""NetBox with its static files, so that no other web server is needed beside it."""

from django.conf import settings
from netbox.wsgi import application as netbox
from whitenoise import WhiteNoise

application = WhiteNoise(netbox, root=settings.STATIC_ROOT, prefix=settings.STATIC_URL)
