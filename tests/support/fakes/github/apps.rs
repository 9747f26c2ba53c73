//! Apps: their JWTs, installations and tokens.

use super::reply::Reply;
use super::server::Asked;
use super::world::World;

/// The App that a JWT stands for, or GitHub's words against it.
pub(super) fn verify(_world: &World, _jwt: &str) -> Result<String, &'static str> {
    Err("A JSON web token could not be decoded")
}

pub(super) fn answer(world: &mut World, asked: &Asked) -> Result<Reply, Reply> {
    world.unexpected.push(format!("{:?} is not modelled yet", asked.found.route));
    Err(Reply::not_found())
}
