//! Networks that come apart, in network namespaces.

use std::thread;
use std::time::Duration;

use testkit::etcd::{Servers, Setup};
use testkit::networks::Networks;

use crate::unique_keys::check;

#[test]
fn a_broken_network_loses_no_acknowledged_write() -> testkit::Result {
    let Some(networks) = Networks::create(3) else { return Ok(()) };
    let setup = Setup { count: 3, hosts: networks.hosts().to_vec(), ..Setup::default() };
    let Some(servers) = setup.start()? else { return Ok(()) };
    let others = |host: usize| [(host + 1) % 3, (host + 2) % 3];
    let cut = |name: &str, cut: &dyn Fn(usize) -> testkit::Result| {
        check(&servers, name, || {
            let result = cut(servers.leader()?);
            thread::sleep(Duration::from_secs(3));
            networks.heal()?;
            result
        })
    };
    cut("leader-from-its-peers", &|leader| {
        others(leader).into_iter().try_for_each(|peer| networks.cut_both_ways(leader, peer))
    })?;
    cut("leader-from-all", &|leader| networks.isolate(leader))?;
    cut("leader-hears-but-is-not-heard", &|leader| {
        others(leader).into_iter().try_for_each(|peer| networks.cut(leader, peer))
    })?;
    cut("leader-is-heard-but-hears-nothing", &|leader| {
        others(leader).into_iter().try_for_each(|peer| networks.cut(peer, leader))
    })?;
    cut("follower-from-all", &|leader| networks.isolate(others(leader)[0]))?;
    cut("all-apart", &|leader| {
        let [one, other] = others(leader);
        networks.cut_both_ways(leader, one)?;
        networks.cut_both_ways(leader, other)?;
        networks.cut_both_ways(one, other)
    })?;
    drop::<Servers>(servers);
    Ok(())
}
