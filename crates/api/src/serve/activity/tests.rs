//! Which connections stay.

use super::*;

/// Looks come every 10 s.
fn limits() -> Limits {
    Limits {
        connections: 1,
        header_timeout: Duration::from_secs(10),
        keep_alive: Duration::from_secs(50),
        write_timeout: Duration::from_secs(30),
    }
}

/// What the watch says at each of `looks` looks while nothing happens.
fn looks(watch: &mut Watch, activity: &Activity, looks: usize) -> Vec<Verdict> {
    (0..looks).map(|_| watch.look(activity)).collect()
}

#[test]
fn who_never_asks_is_stuck_at_the_first_look() {
    let (activity, mut watch) = (Activity::default(), Watch::new(limits()));
    assert_eq!(watch.look(&activity), Verdict::Stuck);
}

#[test]
fn who_has_asked_may_rest_a_while() {
    let (activity, mut watch) = (Arc::new(Activity::default()), Watch::new(limits()));
    drop(activity.begin(Version::HTTP_11));
    assert_eq!(looks(&mut watch, &activity, 5), [Verdict::Keep; 5], "0 to 40 s");
    assert_eq!(watch.look(&activity), Verdict::Idle);
    drop(activity.begin(Version::HTTP_11));
    assert_eq!(watch.look(&activity), Verdict::Keep, "and begins anew by asking");
}

#[test]
fn who_asks_too_slowly_is_stuck() {
    let (activity, mut watch) = (Arc::new(Activity::default()), Watch::new(limits()));
    drop(activity.begin(Version::HTTP_11));
    assert_eq!(watch.look(&activity), Verdict::Keep);
    activity.received();
    assert_eq!(watch.look(&activity), Verdict::Keep, "it may have begun just now");
    activity.received();
    assert_eq!(watch.look(&activity), Verdict::Stuck);
}

#[test]
fn each_request_has_its_own_time_to_come() {
    let (activity, mut watch) = (Arc::new(Activity::default()), Watch::new(limits()));
    for _ in 0..20 {
        drop(activity.begin(Version::HTTP_11));
        activity.received();
        assert_eq!(watch.look(&activity), Verdict::Keep);
    }
}

#[test]
fn a_request_may_be_handled_for_as_long_as_its_deadline_lets_it() {
    let (activity, mut watch) = (Arc::new(Activity::default()), Watch::new(limits()));
    let request = activity.begin(Version::HTTP_11);
    assert_eq!(looks(&mut watch, &activity, 20), [Verdict::Keep; 20]);
    let answer = request.answered(Body::empty());
    assert_eq!(looks(&mut watch, &activity, 2), [Verdict::Keep; 2]);
    assert_eq!(watch.look(&activity), Verdict::Stuck, "but the answer is to be taken");
    drop(answer);
}

#[tokio::test]
async fn an_answer_that_moves_on_may_take_for_ever() {
    let (activity, mut watch) = (Arc::new(Activity::default()), Watch::new(limits()));
    let pieces = futures_util::stream::iter((0..20).map(Ok::<_, std::io::Error>));
    let body = Body::from_stream(futures_util::StreamExt::map(pieces, |piece| {
        piece.map(|number: u8| vec![number])
    }));
    let mut answer = activity.begin(Version::HTTP_11).answered(body);
    for _ in 0..20 {
        let next =
            std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut answer), cx));
        assert!(next.await.unwrap().is_ok());
        assert_eq!(looks(&mut watch, &activity, 2), [Verdict::Keep; 2]);
    }
    assert_eq!(looks(&mut watch, &activity, 2), [Verdict::Keep, Verdict::Stuck]);
}

#[test]
fn what_comes_between_requests_of_http_2_is_no_request() {
    let (activity, mut watch) = (Arc::new(Activity::default()), Watch::new(limits()));
    drop(activity.begin(Version::HTTP_2));
    for verdict in [Verdict::Keep; 5] {
        activity.received();
        assert_eq!(watch.look(&activity), verdict);
    }
    assert_eq!(watch.look(&activity), Verdict::Idle);
}
