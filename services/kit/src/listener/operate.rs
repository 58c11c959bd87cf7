//! What a connection does about each operation.

use std::sync::Arc;

use bytes::Bytes;
use hearken_proto::permission::{self, Identity};
use hearken_proto::{Message, Stream, subject};
use tracing::{debug, warn};

use super::connect::Connect;
use super::counters::Metric;
use super::headers::{self, Decoded};
use super::outbox::Feed;
use super::parse::{Operation, Publish, Subscribe};
use super::pub_ack::{self, Refusal};
use super::serve::Store;
use super::session::{Close, Live, Session};
use super::settle::Order;
use super::write::{self, HeaderSupport, error_line, no_responders_line};
use crate::router::{Delivered, Origin};

/// Subscriptions of a client with credentials: more than one program has, less than memory.
const SUBSCRIPTIONS_MAX: usize = 4_096;
/// Subscriptions of a client without: it can only have inboxes, of which clients have one each,
/// or one per question.
const SUBSCRIPTIONS_ANONYMOUS_MAX: usize = 128;
/// Tokens of a filter: each costs a node of the router's tree.
const FILTER_TOKENS_MAX: usize = 32;
/// Tokens of a filter of a client without credentials: inboxes have two or three.
const FILTER_TOKENS_ANONYMOUS_MAX: usize = 8;
/// Requests of the JetStream API, which is not here.
const API: &str = "$JS.API.";

impl<S: Store> Session<S> {
    /// Does what the client says, or says why the connection ends.
    pub(super) fn operate(&mut self, operation: Operation) -> Result<(), Close> {
        self.active = true;
        if self.identity == Identity::Remote && !matches!(operation, Operation::Connect(_)) {
            self.count(Metric::RefusedCredentials);
            return Err(Close::Violation("Authorization Violation"));
        }
        match operation {
            Operation::Connect(json) => self.connect(&json)?,
            Operation::Publish(publish) => self.publish(publish)?,
            Operation::Subscribe(subscribe) => self.subscribe(&subscribe),
            Operation::Unsubscribe { sid, max } => self.unsubscribe(&sid, max),
            Operation::Ping => self.say(write::PONG),
            Operation::Pong => self.pings_outstanding = 0,
            Operation::ClientError => return Err(Close::Gone),
            Operation::Ignored => {}
        }
        Ok(())
    }

    fn connect(&mut self, json: &[u8]) -> Result<(), Close> {
        let token = &self.context.config.token;
        let asked = Connect::parse(json)
            .and_then(|connect| Ok((connect.identify(token, self.peer.ip())?, connect)));
        let (identity, connect) = match asked {
            Ok(asked) => asked,
            Err(error) => {
                if error.text() == "Authorization Violation" {
                    self.count(Metric::RefusedCredentials);
                    warn!(peer = %self.peer, "wrong credentials, or none");
                } else {
                    self.count(Metric::ParserErrors);
                }
                return Err(Close::Violation(error.text()));
            }
        };
        if identity != self.identity {
            // What somebody else subscribed to is not this client's.
            self.subscriptions.clear();
        }
        debug!(connection = self.id, ?identity, "identified");
        self.identity = identity;
        self.writer.header_support =
            if connect.reads_headers() { HeaderSupport::Yes } else { HeaderSupport::No };
        self.options = connect;
        self.ok();
        Ok(())
    }

    fn publish(&mut self, publish: Publish) -> Result<(), Close> {
        self.count(Metric::MessagesIn);
        let head = publish.headers.as_ref().map_or(0, Bytes::len);
        let bytes = publish.body.len() + head;
        self.count_bytes(bytes);
        if publish.headers.is_some() && !self.options.reads_headers() {
            return Err(Close::Violation("message headers not supported"));
        }
        if publish.subject.starts_with(API) && self.answer_api(&publish) {
            return Ok(());
        }
        if let Err(text) = self.check_publish(&publish) {
            self.count(Metric::RefusedPermission);
            self.say(error_line(&text));
            return Ok(());
        }
        let stream = Stream::of(&self.context.config.prefix, &publish.subject);
        match (self.read_message(&publish, stream), stream) {
            (Ok((message, _)), None) => self.route(message, publish.reply),
            (Ok((message, expected)), Some(stream)) => {
                let Publish { subject, reply, .. } = publish;
                self.append(Order { subject, reply, stream, bytes }, message, expected);
            }
            (Err(refusal), stream) => {
                self.count(refusal.metric);
                let name = stream.map_or("", |stream| self.context.stream_name(stream));
                let answer = pub_ack::refused(name, &refusal);
                let Publish { subject, reply, .. } = publish;
                self.refuse(&subject, reply, &refusal, answer, Self::say);
            }
        }
        Ok(())
    }

    /// Whether the publish may go on; the text is what nats-server says.
    fn check_publish(&self, publish: &Publish) -> Result<(), String> {
        let config = &self.context.config;
        let name = &publish.subject;
        if self.options.is_pedantic() && !subject::is_literal(name) {
            return Err("Invalid Publish Subject".to_owned());
        }
        let reserved = &config.reserved_packs;
        if !permission::may_publish(self.identity, &config.prefix, name, reserved) {
            return Err(format!("Permissions Violation for Publish to {name:?}"));
        }
        match &publish.reply {
            Some(reply) if !permission::may_ask_at(self.identity, reply) => {
                Err(format!("Permissions Violation for Publish with Reply of {reply:?}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The message a publish stands for, and its condition.
    fn read_message(
        &self,
        publish: &Publish,
        stream: Option<Stream>,
    ) -> Result<(Message, Option<u64>), Box<Refusal>> {
        let mut decoded = Decoded::default();
        if let Some(block) = &publish.headers {
            if block.len() > headers::BLOCK_BYTES_MAX {
                return Err(Box::new(Refusal::headers_too_long()));
            }
            decoded = headers::decode(block, self.identity)
                .map_err(|headers::BadHeaders| Box::new(Refusal::bad_headers()))?;
        }
        let Decoded { id, cause, mut headers } = decoded;
        if let Some(id) = id.as_deref().filter(|id| !permission::may_name(self.identity, id)) {
            return Err(Box::new(Refusal::reserved_id(id)));
        }
        let expected = match stream {
            Some(stream) => {
                pub_ack::take_condition(&mut headers, self.context.stream_name(stream))?
            }
            None => None,
        };
        let subject = publish.subject.clone();
        Ok((Message { subject, id, cause, headers, body: publish.body.clone() }, expected))
    }

    fn route(&mut self, message: Message, reply: Option<String>) {
        let reply: Option<Arc<str>> = reply.map(Arc::from);
        let delivered = Delivered { message: Arc::new(message), reply };
        self.ok();
        let routed = self.context.router.route(&delivered, Origin::Connection(self.id));
        if routed.crowded {
            self.slow_down();
        }
        if !routed.was_wanted()
            && self.options.wants_no_responders()
            && let Some(reply) = &delivered.reply
            && let Some(sid) = self.sid_for(reply)
        {
            self.say(no_responders_line(reply, sid));
        }
    }

    /// Whether a request of the JetStream API was answered: anybody may learn that there is none.
    fn answer_api(&mut self, publish: &Publish) -> bool {
        let Some(reply) = &publish.reply else { return false };
        if !permission::may_ask_at(self.identity, reply) {
            return false;
        }
        self.count(Refusal::no_api().metric);
        let _wanted = self.answer(reply.clone(), pub_ack::no_api());
        self.ok();
        true
    }

    /// The subscription of this client that would get an answer at `reply`.
    fn sid_for(&self, reply: &str) -> Option<&Arc<str>> {
        let mut live = self.subscriptions.iter();
        live.find(|(_, live)| subject::matches(&live.filter, reply)).map(|(sid, _)| sid)
    }

    fn subscribe(&mut self, subscribe: &Subscribe) {
        let Subscribe { filter, queue, sid } = subscribe;
        if let Err(text) = self.check_subscribe(filter, queue.as_deref()) {
            self.say(error_line(&text));
            return;
        }
        // A second subscription of the same name is none, as on nats-server.
        if !self.subscriptions.contains_key(sid.as_str()) {
            let sid: Arc<str> = Arc::from(sid.as_str());
            let mute = (!self.options.hears_itself()).then_some(Origin::Connection(self.id));
            let feed = Arc::new(Feed::new(&self.outbox, &sid, mute));
            let sink = Arc::<Feed>::clone(&feed);
            let registration = self.context.router.register(filter, queue.as_deref(), sink);
            let live = Live { filter: filter.as_str().into(), feed, _registration: registration };
            self.subscriptions.insert(sid, live);
        }
        self.ok();
    }

    fn check_subscribe(&self, filter: &str, queue: Option<&str>) -> Result<(), String> {
        if !subject::is_filter(filter) {
            return Err("Invalid Subject".to_owned());
        }
        if !permission::may_subscribe(self.identity, filter) {
            self.count(Metric::RefusedPermission);
            let queue = queue.map(|queue| format!(" using queue {queue:?}")).unwrap_or_default();
            return Err(format!("Permissions Violation for Subscription to {filter:?}{queue}"));
        }
        let (subscriptions_max, tokens_max) = match self.identity {
            Identity::Remote | Identity::Anonymous => {
                (SUBSCRIPTIONS_ANONYMOUS_MAX, FILTER_TOKENS_ANONYMOUS_MAX)
            }
            Identity::Token | Identity::Service => (SUBSCRIPTIONS_MAX, FILTER_TOKENS_MAX),
        };
        if filter.split('.').count() > tokens_max {
            let text = format!("Permissions Violation for Subscription to {filter:?}");
            return Err(format!("{text}, too many tokens"));
        }
        if self.subscriptions.len() >= subscriptions_max {
            return Err("maximum subscriptions exceeded".to_owned());
        }
        Ok(())
    }

    fn unsubscribe(&mut self, sid: &str, max: Option<u64>) {
        let ends_later = max.is_some_and(|max| {
            self.subscriptions.get(sid).is_some_and(|live| !live.feed.end_after(max))
        });
        if !ends_later {
            self.subscriptions.remove(sid);
        }
        self.ok();
    }

    /// Confirms an operation to a client that wants every one confirmed.
    fn ok(&mut self) {
        if self.options.is_verbose() {
            self.say(write::OK);
        }
    }

    fn count_bytes(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.context.config.counters.add(Metric::BytesIn, bytes);
    }

    /// Counts one.
    pub(super) fn count(&self, metric: Metric) {
        self.context.config.counters.one(metric);
    }
}
