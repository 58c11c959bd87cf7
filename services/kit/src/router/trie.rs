//! Which subscriptions a subject concerns: a tree with one level per token.
//!
//! A subject visits at most the nodes that its own tokens, `*` and `>` lead to, so thousands of
//! subscriptions to other subjects cost it nothing. Every node is visited at most once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Subscriptions by filter.
#[derive(Debug)]
pub(super) struct Trie<T> {
    root: Node<T>,
    len: usize,
}

/// What is subscribed below one sequence of tokens.
#[derive(Debug)]
struct Node<T> {
    /// The next token, spelt out. Boxed: most nodes have one child, and a table has four places.
    children: HashMap<Box<str>, Box<Self>>,
    /// The next token is `*`.
    any: Option<Box<Self>>,
    /// Filters that end here with `>`.
    rest: Interest<T>,
    /// Filters that end here.
    here: Interest<T>,
}

/// The subscriptions to one filter.
#[derive(Debug)]
pub(super) struct Interest<T> {
    plain: Vec<Member<T>>,
    groups: Vec<Group<T>>,
}

/// One subscription.
#[derive(Debug)]
pub(super) struct Member<T> {
    id: u64,
    /// What was subscribed.
    pub(super) value: T,
}

/// Subscriptions of which one gets each message.
#[derive(Debug)]
pub(super) struct Group<T> {
    /// The name that makes them a group, also across filters.
    pub(super) name: Box<str>,
    /// Its members, never empty.
    pub(super) members: Vec<Member<T>>,
    turn: AtomicUsize,
}

impl<T> Trie<T> {
    /// No subscriptions.
    pub(super) fn new() -> Self {
        Self { root: Node::new(), len: 0 }
    }

    /// How many subscriptions there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds `value` under a valid filter; `id` is what removes it.
    pub(super) fn insert(&mut self, filter: &str, group: Option<&str>, id: u64, value: T) {
        self.len += 1;
        let member = Member { id, value };
        let mut node = &mut self.root;
        for token in filter.split('.') {
            node = match token {
                ">" => return node.rest.insert(group, member),
                "*" => node.any.get_or_insert_with(|| Box::new(Node::new())),
                token => node.children.entry(token.into()).or_insert_with(|| Box::new(Node::new())),
            };
        }
        node.here.insert(group, member);
    }

    /// Removes what was added with the same arguments, and every node that is empty then.
    pub(super) fn remove(&mut self, filter: &str, group: Option<&str>, id: u64) {
        if self.root.remove(Some(filter), group, id) {
            self.len -= 1;
        }
    }

    /// Shows `visit` the interests whose filters select the literal `subject`.
    pub(super) fn visit<'a>(&'a self, subject: &str, visit: &mut impl FnMut(&'a Interest<T>)) {
        self.root.visit(subject, visit);
    }

    /// Shows `visit` every subscription.
    pub(super) fn for_each(&self, visit: &mut impl FnMut(&T)) {
        self.root.for_each(visit);
    }
}

impl<T> Node<T> {
    fn new() -> Self {
        Self { children: HashMap::new(), any: None, rest: Interest::new(), here: Interest::new() }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.any.is_none()
            && self.rest.is_empty()
            && self.here.is_empty()
    }

    /// Recursion is as deep as a subject has tokens, which its length limits.
    fn visit<'a>(&'a self, subject: &str, visit: &mut impl FnMut(&'a Interest<T>)) {
        if !self.rest.is_empty() {
            visit(&self.rest);
        }
        let (token, tail) = split_token(subject);
        for node in [self.children.get(token), self.any.as_ref()].into_iter().flatten() {
            match tail {
                Some(tail) => node.visit(tail, visit),
                None if node.here.is_empty() => {}
                None => visit(&node.here),
            }
        }
    }

    /// Whether the subscription was found and removed. `None` means that the filter ends here.
    fn remove(&mut self, filter: Option<&str>, group: Option<&str>, id: u64) -> bool {
        let Some(filter) = filter else {
            return self.here.remove(group, id);
        };
        match split_token(filter) {
            (">", _) => self.rest.remove(group, id),
            ("*", tail) => {
                let Some(node) = &mut self.any else { return false };
                let removed = node.remove(tail, group, id);
                if node.is_empty() {
                    self.any = None;
                }
                removed
            }
            (token, tail) => {
                let Some(node) = self.children.get_mut(token) else { return false };
                let removed = node.remove(tail, group, id);
                if node.is_empty() {
                    self.children.remove(token);
                }
                removed
            }
        }
    }

    fn for_each(&self, visit: &mut impl FnMut(&T)) {
        for interest in [&self.rest, &self.here] {
            interest.plain.iter().for_each(|member| visit(&member.value));
            for group in &interest.groups {
                group.members.iter().for_each(|member| visit(&member.value));
            }
        }
        self.children.values().chain(&self.any).for_each(|node| node.for_each(visit));
    }
}

impl<T> Interest<T> {
    const fn new() -> Self {
        Self { plain: Vec::new(), groups: Vec::new() }
    }

    const fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.groups.is_empty()
    }

    /// Subscriptions that each get every message.
    pub(super) fn plain(&self) -> impl Iterator<Item = &T> {
        self.plain.iter().map(|member| &member.value)
    }

    /// Groups of which one member gets each message.
    pub(super) fn groups(&self) -> &[Group<T>] {
        &self.groups
    }

    fn insert(&mut self, group: Option<&str>, member: Member<T>) {
        let Some(name) = group else {
            return self.plain.push(member);
        };
        match self.groups.iter_mut().find(|group| *group.name == *name) {
            Some(group) => group.members.push(member),
            None => self.groups.push(Group {
                name: name.into(),
                members: vec![member],
                turn: AtomicUsize::new(0),
            }),
        }
    }

    fn remove(&mut self, group: Option<&str>, id: u64) -> bool {
        let Some(name) = group else {
            return remove_member(&mut self.plain, id);
        };
        let Some(place) = self.groups.iter().position(|group| *group.name == *name) else {
            return false;
        };
        let Some(group) = self.groups.get_mut(place) else { return false };
        let removed = remove_member(&mut group.members, id);
        if group.members.is_empty() {
            self.groups.swap_remove(place);
        }
        removed
    }
}

impl<T> Group<T> {
    /// Whose turn it is: a number that grows with every message.
    pub(super) fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }
}

/// Keeps the order of the others, so that turns stay fair.
fn remove_member<T>(members: &mut Vec<Member<T>>, id: u64) -> bool {
    let Some(place) = members.iter().position(|member| member.id == id) else { return false };
    members.remove(place);
    true
}

fn split_token(text: &str) -> (&str, Option<&str>) {
    text.split_once('.').map_or((text, None), |(token, tail)| (token, Some(tail)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearken_proto::subject;
    use proptest::prelude::*;

    fn found(trie: &Trie<u64>, subject: &str) -> Vec<u64> {
        let mut found = Vec::new();
        trie.visit(subject, &mut |interest| {
            found.extend(interest.plain().copied());
            for group in interest.groups() {
                found.extend(group.members.iter().map(|member| member.value));
            }
        });
        found.sort_unstable();
        found
    }

    fn filter() -> impl Strategy<Value = String> {
        let token = prop_oneof!["[ab]", Just("*".to_owned())];
        (prop::collection::vec(token, 1..4), any::<bool>()).prop_map(|(mut tokens, rest)| {
            if rest {
                tokens.push(">".to_owned());
            }
            tokens.join(".")
        })
    }

    proptest! {
        #[test]
        fn selects_what_the_definition_of_filters_selects(
            filters in prop::collection::vec((filter(), prop::option::of("[pq]")), 0..24),
            subjects in prop::collection::vec("[ab](\\.[ab]){0,4}", 1..8),
            removed in prop::collection::vec(any::<bool>(), 24),
        ) {
            let mut trie = Trie::new();
            for (id, (filter, group)) in (0..).zip(&filters) {
                trie.insert(filter, group.as_deref(), id, id);
            }
            for (id, (filter, group)) in (0..).zip(&filters) {
                if removed[usize::try_from(id).unwrap()] {
                    trie.remove(filter, group.as_deref(), id);
                }
            }
            for text in &subjects {
                let expected: Vec<u64> = (0..)
                    .zip(&filters)
                    .zip(&removed)
                    .filter(|((_, (filter, _)), gone)| !**gone && subject::matches(filter, text))
                    .map(|((id, _), _)| id)
                    .collect();
                prop_assert_eq!(found(&trie, text), expected);
            }
            for (id, (filter, group)) in (0..).zip(&filters) {
                trie.remove(filter, group.as_deref(), id);
            }
            prop_assert_eq!(trie.len(), 0);
            prop_assert!(trie.root.is_empty(), "a removed filter left nodes behind");
        }
    }
}
