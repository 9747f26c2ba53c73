//! What a Redis that was given to us could lose.

use std::collections::HashMap;

use redis::InfoDict;
use redis::aio::ConnectionLike;

use super::{Error, Ledger};

impl Ledger {
    /// What is at risk with this server, a sentence each; empty when nothing is.
    pub async fn durability(&self) -> Result<Vec<String>, Error> {
        risks_with(&mut self.connection().await?).await
    }
}

/// The risks of the server at the other end of a connection.
pub(super) async fn risks_with(connection: &mut impl ConnectionLike) -> Result<Vec<String>, Error> {
    let asked = redis::cmd("INFO").arg("replication").query_async(connection).await;
    let info: InfoDict = asked.map_err(Error::unavailable("ask for replication"))?;
    let mut config = HashMap::new();
    for name in ["maxmemory-policy", "appendonly", "appendfsync", "min-replicas-to-write"] {
        let asked = redis::cmd("CONFIG").arg("GET").arg(name).query_async(connection).await;
        let answer: HashMap<String, String> = match asked {
            Ok(answer) => answer,
            Err(error) if error.is_io_error() => return Err(Error::unavailable("ask for settings")(error)),
            // Managed services forbid CONFIG.
            Err(_) => HashMap::new(),
        };
        config.extend(answer);
    }
    let replicas = info.get::<u64>("connected_slaves").unwrap_or_default();
    Ok(risks(&config, replicas))
}

/// The sentences for a server's settings and its number of replicas.
fn risks(config: &HashMap<String, String>, replicas: u64) -> Vec<String> {
    let setting = |name: &str| config.get(name).map(String::as_str);
    let mut risks = Vec::new();
    match setting("maxmemory-policy") {
        Some("noeviction") => {}
        Some(policy) => risks.push(format!(
            "Redis evicts keys when its memory is full (maxmemory-policy is {policy}): accepted work can vanish. Set \
             maxmemory-policy to noeviction."
        )),
        None => risks.push(unknown("maxmemory-policy", "noeviction")),
    }
    match (setting("appendonly"), setting("appendfsync")) {
        (Some("yes"), Some("always")) => {}
        (Some("yes"), Some(fsync)) => risks.push(format!(
            "Redis does not sync every write (appendfsync is {fsync}): a power failure can lose the last second of \
             accepted work, or more. Set appendfsync to always."
        )),
        (Some(_), _) => risks.push(
            "Redis keeps no append-only file (appendonly is no): a restart can lose accepted work. Set appendonly to \
             yes and appendfsync to always."
                .to_owned(),
        ),
        (None, _) => risks.push(unknown("appendonly and appendfsync", "yes and always")),
    }
    if replicas > 0 && matches!(setting("min-replicas-to-write"), None | Some("0")) {
        risks.push(format!(
            "Redis has {replicas} replica(s) and does not wait for them: a failover can lose accepted work. Set \
             min-replicas-to-write to 1 or more, which makes that loss small."
        ));
    }
    risks
}

fn unknown(what: &str, want: &str) -> String {
    format!("Redis does not tell its {what} (CONFIG GET is not allowed): make sure that it is {want}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const SAFE: [(&str, &str); 4] = [
        ("maxmemory-policy", "noeviction"),
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("min-replicas-to-write", "0"),
    ];

    #[test]
    fn a_safe_server_risks_nothing() {
        assert_eq!(risks(&config(&SAFE), 0), Vec::<String>::new());
    }

    #[test]
    fn each_unsafe_setting_is_named() {
        for (name, value) in [("maxmemory-policy", "allkeys-lru"), ("appendonly", "no"), ("appendfsync", "everysec")] {
            let mut unsafe_one = config(&SAFE);
            unsafe_one.insert(name.to_owned(), value.to_owned());

            let risks = risks(&unsafe_one, 0);

            assert_eq!(risks.len(), 1, "{risks:?}");
            assert!(risks[0].contains(name) && risks[0].contains(value), "{risks:?}");
        }
    }

    #[test]
    fn replicas_that_nobody_waits_for_are_a_risk() {
        let risks = risks(&config(&SAFE), 2);

        assert!(risks.len() == 1 && risks[0].contains("min-replicas-to-write"), "{risks:?}");
    }

    #[test]
    fn a_server_that_tells_nothing_is_said_to() {
        assert_eq!(risks(&HashMap::new(), 0).len(), 2);
    }
}
