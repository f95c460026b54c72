//! Slots by example, and against a model that looks at every minute.

use std::collections::BTreeSet;

use chrono::Datelike as _;
use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The slots of a day or some, as local times with their offset.
fn slots(expression: &str, zone: Tz, after: &str, upto: &str) -> Vec<String> {
    let schedule = Schedule::new(expression, zone).unwrap();
    let slots = schedule.between(at(after), at(upto)).into_iter();
    slots.map(|slot| slot.with_timezone(&zone).format("%d %H:%M %z").to_string()).collect()
}

#[test]
fn in_spring_an_hour_that_there_is_not_is_due_at_its_end() {
    let (after, upto) = ("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z");
    let berlin = |expression| slots(expression, Tz::Europe__Berlin, after, upto);
    assert_eq!(berlin("30 2 * * *"), ["29 03:00 +0200", "30 02:30 +0200"]);
    // All of what is missing is due once.
    assert_eq!(berlin("0,15,30,45 2 29 * *"), ["29 03:00 +0200"]);
    assert_eq!(berlin("0,30 2-3 29 * *"), ["29 03:00 +0200", "29 03:30 +0200"]);
    // Half an hour is missing where the clocks are put forward by half an hour.
    let (after, upto) = ("2026-10-03T00:00:00Z", "2026-10-05T00:00:00Z");
    let island = |expression| slots(expression, Tz::Australia__Lord_Howe, after, upto);
    assert_eq!(island("10 2 * * *"), ["04 02:30 +1100", "05 02:10 +1100"]);
    assert_eq!(island("40 2 * * *"), ["04 02:40 +1100", "05 02:40 +1100"]);
}

#[test]
fn in_autumn_an_hour_that_comes_twice_counts_once() {
    let (after, upto) = ("2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
    let berlin = |expression| slots(expression, Tz::Europe__Berlin, after, upto);
    assert_eq!(berlin("30 2 * * *"), ["25 02:30 +0200", "26 02:30 +0100"]);
    assert_eq!(berlin("0 */2 25 * *")[..3], ["25 00:00 +0200", "25 02:00 +0200", "25 04:00 +0100"]);
    let (after, upto) = ("2026-04-04T00:00:00Z", "2026-04-05T12:00:00Z");
    let island = slots("45 1 5 * *", Tz::Australia__Lord_Howe, after, upto);
    assert_eq!(island, ["05 01:45 +1100"]);
}

#[test]
fn what_names_no_hour_goes_by_the_time_that_passes() {
    for (after, upto) in [
        ("2026-03-28T22:59:59Z", "2026-03-29T21:59:59Z"),
        ("2026-10-24T21:59:59Z", "2026-10-25T22:59:59Z"),
    ] {
        let schedule = Schedule::new("*/15 * * * *", Tz::Europe__Berlin).unwrap();
        let slots = schedule.between(at(after), at(upto));
        let hours = (at(upto) - at(after)).num_hours();
        assert_eq!(slots.len(), usize::try_from(hours * 4).unwrap());
        assert!(slots.windows(2).all(|two| two[1] - two[0] == TimeDelta::minutes(15)));
    }
}

#[test]
fn days_that_are_rare_or_missing() {
    let leap = Schedule::new("0 0 29 2 *", Tz::UTC).unwrap();
    assert_eq!(leap.next(at("2026-01-01T00:00:00Z")), Some(at("2028-02-29T00:00:00Z")));
    assert_eq!(leap.next(at("2096-03-01T00:00:00Z")), Some(at("2104-02-29T00:00:00Z")));
    // An island that went to the other side of the date line had no such day.
    let (after, upto) = ("2011-12-29T12:00:00Z", "2011-12-31T12:00:00Z");
    assert_eq!(
        slots("0 9 * * *", Tz::Pacific__Apia, after, upto),
        ["29 09:00 -1000", "31 00:00 +1400", "31 09:00 +1400"]
    );
}

#[test]
fn seconds_may_be_named() {
    let schedule = Schedule::new("*/10 * * * * *", Tz::UTC).unwrap();
    let slots = schedule.between(at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:30Z"));
    assert_eq!(slots.len(), 3);
    assert_eq!(slots[0], at("2026-01-01T00:00:10Z"));
}

#[test]
fn the_last_of_many_are_found_without_looking_at_all() {
    let schedule = Schedule::new("* * * * * *", Tz::UTC).unwrap();
    let last = schedule.last(at("1990-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"), 2);
    assert!(last.are_more);
    assert_eq!(last.slots, [at("2025-12-31T23:59:59Z"), at("2026-01-01T00:00:00Z")]);
    let all = schedule.last(at("2025-12-31T23:59:58Z"), at("2026-01-01T00:00:00Z"), 2);
    assert_eq!((all.slots.len(), all.are_more), (2, false));
}

#[test]
fn people_read_it_in_words() {
    for (expression, words) in [
        ("*/10 * * * * *", "every 10 seconds (Europe/Berlin)"),
        ("7 * * * *", "at minute 7 past every hour (Europe/Berlin)"),
        (
            "30 3 * * MON-FRI",
            "at 03:30, on Monday, Tuesday, Wednesday, Thursday, and Friday (Europe/Berlin)",
        ),
    ] {
        assert_eq!(Schedule::new(expression, Tz::Europe__Berlin).unwrap().words(), words);
    }
}

#[test]
fn what_is_no_schedule_is_refused() {
    let refused = |expression| Schedule::new(expression, Tz::UTC).unwrap_err();
    assert!(matches!(refused("@daily"), InvalidSchedule::Fields(_)));
    assert!(matches!(refused("61 * * * *"), InvalidSchedule::Unreadable { .. }));
    assert!(matches!(refused("0 0 30 2 *"), InvalidSchedule::Never(_)));
}

/// A schedule as sets; an empty one is `*`.
#[derive(Debug, Clone)]
struct Model {
    minutes: BTreeSet<u32>,
    hours: BTreeSet<u32>,
    days: BTreeSet<u32>,
}

impl Model {
    fn expression(&self) -> String {
        let field = |set: &BTreeSet<u32>| match set.len() {
            0 => "*".to_owned(),
            _ => set.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        };
        format!("{} {} {} * *", field(&self.minutes), field(&self.hours), field(&self.days))
    }

    fn is_meant(&self, time: NaiveDateTime) -> bool {
        let has = |set: &BTreeSet<u32>, value| set.is_empty() || set.contains(&value);
        has(&self.minutes, time.minute())
            && has(&self.hours, time.hour())
            && has(&self.days, time.day())
    }

    /// Looks at the local time of every minute.
    fn slots(&self, zone: Tz, after: DateTime<Utc>, upto: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let minute = TimeDelta::minutes(1);
        let mut seen = BTreeSet::new();
        let mut slots = Vec::new();
        let mut moment = after - TimeDelta::hours(30);
        let mut before = None;
        while moment <= upto {
            let time = moment.with_timezone(&zone).naive_local();
            let is_due = if self.hours.is_empty() {
                self.is_meant(time)
            } else {
                let mut missing = before.unwrap_or(time) + minute;
                let mut is_due = false;
                while missing < time {
                    is_due |= self.is_meant(missing);
                    missing += minute;
                }
                is_due || self.is_meant(time) && !seen.contains(&time)
            };
            if is_due && after < moment {
                slots.push(moment);
            }
            seen.insert(time);
            before = Some(time);
            moment += minute;
        }
        slots
    }
}

fn model() -> impl Strategy<Value = Model> {
    let minutes = subsequence((0..60).collect::<Vec<_>>(), 0..4);
    let hours = subsequence((0..24).collect::<Vec<_>>(), 0..5);
    let near = subsequence((0..5).collect::<Vec<_>>(), 0..3);
    let days = subsequence((1..32).collect::<Vec<_>>(), 0..12);
    (minutes, hours, near, days).prop_map(|(minutes, hours, near, days)| Model {
        minutes: minutes.into_iter().collect(),
        hours: hours.into_iter().chain(near).collect(),
        days: days.into_iter().collect(),
    })
}

/// Near a change of the clocks, by some minutes.
fn moment() -> impl Strategy<Value = (Tz, DateTime<Utc>)> {
    let changes = [
        (Tz::Europe__Berlin, "2026-03-29T01:00:00Z"),
        (Tz::Europe__Berlin, "2026-10-25T01:00:00Z"),
        (Tz::Australia__Lord_Howe, "2026-10-03T15:30:00Z"),
        (Tz::Australia__Lord_Howe, "2026-04-04T15:00:00Z"),
        (Tz::America__Sao_Paulo, "2018-11-04T03:00:00Z"),
        (Tz::UTC, "2028-02-29T00:00:00Z"),
    ];
    (prop::sample::select(changes.to_vec()), -1_500_i64..1_500)
        .prop_map(|((zone, change), minutes)| (zone, at(change) + TimeDelta::minutes(minutes)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn slots_are_those_of_a_model_that_looks_at_every_minute(
        model in model(),
        (zone, after) in moment(),
        minutes in 1_i64..2_500,
    ) {
        let upto = after + TimeDelta::minutes(minutes);
        let expected = model.slots(zone, after, upto);
        // What is never due is refused, and has no slots.
        if let Ok(schedule) = Schedule::new(&model.expression(), zone) {
            prop_assert_eq!(&schedule.between(after, upto), &expected);
            prop_assert_eq!(schedule.next(after).filter(|next| *next <= upto), expected.first().copied());
            let last = schedule.last(after, upto, 3);
            prop_assert_eq!(&last.slots, &expected[expected.len().saturating_sub(3)..]);
            prop_assert_eq!(last.are_more, expected.len() > 3);
        } else {
            prop_assert!(expected.is_empty());
        }
    }
}
