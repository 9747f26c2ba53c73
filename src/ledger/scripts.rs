//! The Lua scripts: one for each change of state, each atomic.

use redis::Script;

/// Redis knows a script by its hash; these are sent once and then called by it.
pub(super) struct Scripts {
    pub(super) accept: Script,
    pub(super) ignore: Script,
    pub(super) claim: Script,
    pub(super) renew: Script,
    pub(super) advance: Script,
    pub(super) settle: Script,
    pub(super) cancel: Script,
    pub(super) circuit: Script,
    pub(super) health: Script,
    pub(super) letters: Script,
    pub(super) once: Script,
    pub(super) pause: Script,
    pub(super) turn: Script,
    pub(super) budget: Script,
    pub(super) propose: Script,
    pub(super) history: Script,
    pub(super) accept_history: Script,
}

const COMMON: &str = include_str!("scripts/common.lua");
const SERVERS: &str = include_str!("scripts/servers.lua");
const FENCE: &str = include_str!("scripts/fence.lua");

impl Scripts {
    pub(super) fn new() -> Self {
        let plain = |body: &str| Script::new(&format!("{COMMON}{body}"));
        let with_servers = |body: &str| Script::new(&format!("{COMMON}{SERVERS}{body}"));
        let fenced = |body: &str| Script::new(&format!("{COMMON}{FENCE}{body}"));
        Self {
            accept: plain(include_str!("scripts/accept.lua")),
            ignore: plain(include_str!("scripts/ignore.lua")),
            claim: with_servers(include_str!("scripts/claim.lua")),
            renew: fenced(include_str!("scripts/renew.lua")),
            advance: fenced(include_str!("scripts/advance.lua")),
            settle: fenced(include_str!("scripts/settle.lua")),
            cancel: plain(include_str!("scripts/cancel.lua")),
            circuit: with_servers(include_str!("scripts/circuit.lua")),
            health: plain(include_str!("scripts/health.lua")),
            letters: plain(include_str!("scripts/letters.lua")),
            once: plain(include_str!("scripts/once.lua")),
            pause: plain(include_str!("scripts/pause.lua")),
            turn: plain(include_str!("scripts/turn.lua")),
            budget: plain(include_str!("scripts/budget.lua")),
            propose: fenced(include_str!("scripts/propose.lua")),
            history: fenced(include_str!("scripts/history.lua")),
            accept_history: plain(include_str!("scripts/accept_history.lua")),
        }
    }
}
