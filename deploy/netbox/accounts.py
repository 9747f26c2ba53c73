"""Makes sure of NetBox's administrator, and of fgd-sync's user with the token that both services are told."""

from os import environ

import django

environ.setdefault('DJANGO_SETTINGS_MODULE', 'netbox.settings')
django.setup()

from users.models import Token, User  # noqa: E402: models are there only after the setup

OURS = 'NETBOX_TOKEN of the environment'

if not User.objects.filter(username='admin').exists():
    User.objects.create_superuser('admin', password=environ['NETBOX_ADMIN_PASSWORD'])

# A superuser, because `fgd-sync setup netbox` makes object types, for which no permission can be given before they are there.
service, _ = User.objects.get_or_create(username='fgd-sync', defaults={'is_superuser': True})
prefix, _, secret = environ['NETBOX_TOKEN'].partition('.')
key = prefix.removeprefix('nbt_')
if not any(token.validate(secret) for token in Token.objects.filter(user=service, key=key)):
    # A token that was replaced in the environment ends here, too.
    Token.objects.filter(user=service, description=OURS).delete()
    Token(user=service, version=2, key=key, token=secret, description=OURS).save()
