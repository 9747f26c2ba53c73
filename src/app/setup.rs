//! What the `setup` commands make on the servers.

use crate::config::{ObjectModel, Settings, Switch};
use crate::domain::names::{NetBoxName, RepoName};
use crate::netbox::setup::{Effect, SetupOptions, Telling, setup};
use crate::repo;

use super::{StartError, netboxes, repositories};

/// Which NetBoxes to set up, and how.
#[derive(Debug, Clone, Default)]
pub struct NetBoxSetup {
    /// Only this one.
    pub only: Option<NetBoxName>,
    /// Another model than the settings say.
    pub model: Option<ObjectModel>,
    /// Look, and say what would be done.
    pub dry_run: bool,
}

/// Sets up every NetBox of the settings, or only one, and tells each step as it is done.
pub async fn setup_netboxes(
    settings: &Settings,
    wish: &NetBoxSetup,
    mut told: impl FnMut(String),
) -> Result<(), StartError> {
    let NetBoxSetup { only, model, dry_run } = wish;
    if let Some(name) = only.as_ref().filter(|name| !settings.netboxes.contains_key(name)) {
        return Err(StartError::NoSuchNetBox { name: name.clone() });
    }
    let mut settings = settings.clone();
    for (name, netbox) in
        settings.netboxes.iter_mut().filter(|(name, _)| only.as_ref().is_none_or(|only| only == *name))
    {
        let model = model.unwrap_or(netbox.model);
        if model != netbox.model {
            told(format!("{name}: the settings say another `model`; the service goes by them"));
        }
        netbox.model = model;
    }
    for (name, client) in netboxes(&settings)?.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == *name))
    {
        let options = setup_options(&settings, name, *dry_run)?;
        let steps =
            setup(client, &options).await.map_err(|source| StartError::NetBox { name: name.clone(), source })?;
        for step in steps {
            told(format!("{name}: {} {}", step.what, setup_words(&step.effect, *dry_run)));
        }
    }
    Ok(())
}

fn setup_options(settings: &Settings, name: &NetBoxName, dry_run: bool) -> Result<SetupOptions, StartError> {
    let netbox = &settings.netboxes[name];
    let secret = netbox.webhook_secrets.first().ok_or_else(|| StartError::NoSecret { name: name.clone() })?.read()?;
    let address = format!("{}webhooks/netbox", settings.public_url);
    let receiver_url =
        settings.public_url.join("webhooks/netbox").map_err(|source| StartError::Receiver { address, source })?;
    let fabrics = settings.fabrics.values().filter(|fabric| fabric.netbox == *name);
    Ok(SetupOptions {
        receiver_url,
        secret,
        fabrics: fabrics.map(|fabric| fabric.name.clone()).collect(),
        fabric_status: telling(netbox.fabric_status),
        journal: telling(netbox.journal),
        links: (netbox.custom_links == Switch::On).then(|| settings.public_url.clone()),
        dry_run,
    })
}

fn telling(switch: Switch) -> Telling {
    match switch {
        Switch::On => Telling::On,
        Switch::Off => Telling::Off,
    }
}

fn setup_words(effect: &Effect, dry_run: bool) -> String {
    let would = if dry_run { "would be " } else { "" };
    match effect {
        Effect::Created => format!("{would}created"),
        Effect::Updated(fields) => format!("{would}updated ({})", fields.join(", ")),
        Effect::Unchanged => "is right".to_owned(),
        Effect::AfterTheFirstFabric => "show what is missing once there is a fabric: run it again then".to_owned(),
        Effect::Lacking => "is missing: the service needs it, with this token or the one that it gets".to_owned(),
    }
}

/// Sets up the webhook of every repository of kind `github`, or of only one, and tells what was done.
pub async fn setup_githubs(
    settings: &Settings,
    only: Option<&RepoName>,
    dry_run: bool,
    mut told: impl FnMut(String),
) -> Result<(), StartError> {
    if let Some(name) = only.filter(|name| !settings.repositories.contains_key(name)) {
        return Err(StartError::NoSuchRepository { name: name.clone() });
    }
    let receiver = repositories::receiver(settings)?;
    let sites = repositories::open(settings, None)?;
    for (name, site) in sites.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        let Some(secret) = settings.repositories[name].webhook_secrets.first() else {
            return Err(StartError::NoWebhookSecret { name: name.clone() });
        };
        let webhook = repo::Webhook { receiver: receiver.clone(), secret: secret.read()?, dry_run };
        let failed = |source| StartError::Repository { name: name.clone(), source };
        told(match site.repository.set_up_webhook(&webhook).await.map_err(failed)? {
            None => format!("{name}: its webhook is made on the server: it is no repository of kind github"),
            Some(effect) => format!("{name}: the webhook to {receiver} {}", hook_words(&effect, dry_run)),
        });
    }
    Ok(())
}

fn hook_words(effect: &repo::HookEffect, dry_run: bool) -> String {
    let would = if dry_run { "would be " } else { "" };
    match effect {
        repo::HookEffect::Created => format!("{would}created"),
        repo::HookEffect::Mended(wrong) => format!("{would}updated ({})", wrong.join(", ")),
        repo::HookEffect::Unchanged => "is right".to_owned(),
    }
}
