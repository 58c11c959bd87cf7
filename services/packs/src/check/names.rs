//! What there is to say of files that name actions: aliases and policies.

use hearken_engine::definition::problem::suggestion;

use super::material::{Material, Sights};
use crate::load::files::Metadata;

/// Says of each file whose `field` names an action that its pack does not have.
fn unknown(material: &Material<'_>, files: &[Metadata], field: &str, sights: &mut Sights) {
    for metadata in files {
        let Some(wanted) = metadata.text(field) else { continue };
        // Of packs that are not looked at nobody knows here.
        if material.known.action(wanted).is_some() || !material.known.has_pack_of(wanted) {
            continue;
        }
        sights.at(metadata, &format!("/{field}"), format!("there is no action {wanted:?}"));
        let meant = suggestion(wanted, &material.known.actions());
        sights.maybe_hint(meant.map(|meant| format!("did you mean {meant:?}?")));
    }
}

/// Aliases.
pub(super) fn aliases(material: &Material<'_>, sights: &mut Sights) {
    unknown(material, &material.documents.aliases, "action_ref", sights);
}

/// Policies.
pub(super) fn policies(material: &Material<'_>, sights: &mut Sights) {
    unknown(material, &material.documents.policies, "resource_ref", sights);
}
