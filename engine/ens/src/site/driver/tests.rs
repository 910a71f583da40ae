use std::time::Duration;

use nats::Message;

use super::*;

fn driver() -> SiteDriver {
    SiteDriver::new(Parts {
        site: "test".into(),
        port: Arc::new(Port::new(1 << 20, Box::new(|| {}))),
        handle: engine::mesh(1, &engine::Limits::default()),
        subscribing: Arc::new(SubscribingShards::new(1)),
        secret: [7; 32],
        ending: Arc::default(),
        retiring: Arc::default(),
        following: Arc::default(),
        meeting: Arc::default(),
        counters: Arc::default(),
        room_bytes_max: 1 << 20,
        follows: false,
    })
}

/// Tells it to end; gives what it says then.
fn end(driver: &mut SiteDriver) -> Vec<Order> {
    driver.parts.ending.store(true, Ordering::SeqCst);
    driver.news(News::Look);
    driver.orders()
}

#[test]
fn a_broker_that_ends_stays_until_the_bus_has_its_last_word() {
    let mut driver = driver();
    driver.news(News::Connected {
        server: String::new(),
        message_bytes_max: 1 << 20,
    });
    driver.orders();
    let orders = end(&mut driver);
    let Some(Order::Publish {
        reply: Some(subject),
        ..
    }) = orders.last()
    else {
        panic!("{orders:?}");
    };
    assert!(!driver.is_over());
    let nobody = Message {
        subject: subject.clone(),
        payload: Bytes::new(),
        nobody: true,
    };
    driver.news(News::Messages(vec![nobody]));
    assert!(driver.is_over());
}

#[test]
fn nobody_waits_for_others_longer_than_they_may_take_nor_for_a_bus_that_is_away() {
    let connected = |message_bytes_max| News::Connected {
        server: "host:4222".into(),
        message_bytes_max,
    };
    let mut met = driver();
    met.news(connected(1 << 20));
    assert!(!met.parts.meeting.is_over() && met.idle_ns() > 0);
    met.began -= Duration::from_nanos(met.idle_ns());
    met.began -= Duration::from_secs(1);
    met.news(News::Look);
    assert!(met.parts.meeting.is_over());
    let mut away = driver();
    away.news(News::Trouble("nobody answers".into()));
    assert!(away.parts.meeting.is_over());
    let mut narrow = driver();
    narrow.news(connected(4096));
    assert!(narrow.parts.meeting.is_over() && !narrow.is_connected);
    assert!(
        narrow.trouble.0.contains("max_payload"),
        "{:?}",
        narrow.trouble
    );
}

#[test]
fn what_is_wrong_is_said_at_once_and_not_too_often() {
    let mut driver = driver();
    let mut says = |after_s: u64, trouble: &str| {
        driver.began -= Duration::from_secs(after_s);
        let before = driver.trouble.clone();
        driver.news(News::Trouble(trouble.into()));
        driver.trouble != before
    };
    assert!(says(0, "no rights at ens.test.b.1"));
    // As each event that is published has another bucket.
    assert!(!says(1, "no rights at ens.test.b.2") && !says(1, "no rights at ens.test.b.1"));
    assert!(says(10, "no rights at ens.test.b.3"));
    assert!(!says(20, "no rights at ens.test.b.3"));
}

#[test]
fn a_bus_that_is_away_is_not_waited_for_long() {
    let mut driver = driver();
    end(&mut driver);
    assert!(!driver.is_over());
    driver.began -= Duration::from_secs(2);
    assert!(driver.is_over(), "even while orders wait");
    driver.orders();
    assert!(driver.is_over());
}
