//! From the model of a configuration to who asks which name servers.

use std::sync::Arc;

use crate::config::model::Model;
use crate::config::resolvers;
use crate::generation::Generation;
use crate::name_service::{Client, Plan};

/// The sections that servers of this generation ask.
pub fn plans(model: &Model, generation: &Generation) -> Vec<Plan> {
    let mut plans: Vec<_> =
        model.resolvers.iter().map(|settings| Plan { settings: settings.clone(), clients: Vec::new() }).collect();
    for (backend, live) in model.backends.iter().zip(&generation.backends) {
        for (index, server) in backend.servers.iter().enumerate() {
            let Some(wish) = server.resolution.clone().filter(|_| !backend.proxy.disabled) else { continue };
            if let Some(plan) = plans.get_mut(wish.section) {
                plan.clients.push(Client { farm: Arc::clone(&live.farm), index, wish });
            }
        }
    }
    // haproxy has this one always, where the system says whom to ask.
    let has_default = plans.iter().any(|plan| &*plan.settings.name == resolvers::DEFAULT);
    plans.extend(
        resolvers::of_the_system().filter(|_| !has_default).map(|settings| Plan { settings, clients: Vec::new() }),
    );
    plans
}
