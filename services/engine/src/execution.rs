//! The life of an execution: which state may follow which.
//!
//! A transition is written by compare and set on the state that was seen, and this function is
//! asked first: whoever comes late or twice is refused here and adopts what is stored.

use hearken_proto::Status;

/// Whether an execution in state `current` may enter `wanted`; none means that nothing is stored
/// of it yet.
#[must_use]
pub const fn may_follow(current: Option<Status>, wanted: Status) -> bool {
    use Status::{
        Abandoned, Canceled, Canceling, Delayed, Expired, Failed, Paused, Pausing, Pending,
        Requested, Resuming, Running, Scheduled, Succeeded, Timeout,
    };
    let Some(current) = current else {
        // A request that never became an execution ends as failed or expired at once.
        return matches!(
            wanted,
            Requested | Scheduled | Delayed | Running | Canceled | Failed | Expired
        );
    };
    match current {
        Requested | Scheduled | Delayed => matches!(
            wanted,
            Scheduled | Delayed | Running | Canceling | Canceled | Failed | Expired | Abandoned
        ),
        // Requested again is a further attempt of an idempotent action whose runner is gone.
        Running => matches!(
            wanted,
            Requested
                | Pausing
                | Paused
                | Pending
                | Canceling
                | Canceled
                | Succeeded
                | Failed
                | Timeout
                | Abandoned
        ),
        Pausing => matches!(
            wanted,
            Running | Paused | Canceling | Canceled | Succeeded | Failed | Timeout | Abandoned
        ),
        Paused => matches!(wanted, Resuming | Canceling | Canceled | Failed | Timeout | Abandoned),
        Resuming => matches!(wanted, Running | Canceling | Canceled | Failed | Timeout | Abandoned),
        Pending => matches!(
            wanted,
            Running | Canceling | Canceled | Succeeded | Failed | Timeout | Abandoned
        ),
        Canceling => matches!(wanted, Canceled | Succeeded | Failed | Timeout | Abandoned),
        Canceled | Succeeded | Failed | Timeout | Abandoned | Expired => false,
    }
}

/// Whether somebody may ask an execution in this state to end before its time.
#[must_use]
pub const fn is_cancelable(status: Status) -> bool {
    may_follow(Some(status), Status::Canceling)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_follows_the_end_and_every_state_has_one() {
        for current in Status::ALL {
            let followers: Vec<Status> = Status::ALL
                .into_iter()
                .filter(|wanted| may_follow(Some(current), *wanted))
                .collect();
            assert_eq!(followers.is_empty(), current.is_final(), "{current}: {followers:?}");
            if !current.is_final() {
                assert!(followers.iter().any(|status| status.is_final()), "{current}");
            }
        }
    }

    #[test]
    fn states_follow_as_stackstorm_has_them() {
        use Status::{
            Canceled, Canceling, Delayed, Pending, Requested, Running, Scheduled, Succeeded,
            Timeout,
        };
        for (current, wanted, expected) in [
            (None, Requested, true),
            (None, Succeeded, false),
            (Some(Requested), Scheduled, true),
            (Some(Requested), Succeeded, false),
            (Some(Running), Timeout, true),
            (Some(Running), Requested, true),
            (Some(Running), Running, false),
            (Some(Requested), Delayed, true),
            (Some(Delayed), Delayed, true),
            (Some(Delayed), Running, true),
            (Some(Delayed), Succeeded, false),
            (Some(Canceling), Requested, false),
            (Some(Pending), Succeeded, true),
            (Some(Canceled), Running, false),
        ] {
            assert_eq!(may_follow(current, wanted), expected, "{current:?} -> {wanted}");
        }
        assert!(is_cancelable(Running));
        assert!(!is_cancelable(Succeeded));
    }
}
