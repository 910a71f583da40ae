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
fn a_bus_that_is_away_is_not_waited_for_long() {
    let mut driver = driver();
    end(&mut driver);
    assert!(!driver.is_over());
    driver.began -= Duration::from_secs(2);
    assert!(driver.is_over(), "even while orders wait");
    driver.orders();
    assert!(driver.is_over());
}
