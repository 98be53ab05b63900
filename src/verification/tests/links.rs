//! Link codes of the service.

use super::*;

async fn join(bench: &Bench, code: &str) -> Result<AccountId, JoinError> {
    let request = SignUp { platform: Platform::Macos, name: None, link: None };
    bench.service.join(request, code).await.map(|joined| joined.account)
}

#[tokio::test]
async fn a_link_code_joins_the_account_once() {
    let bench = Bench::new();
    let asker = bench.holder(PHONE).await;
    let link = bench.service.issue_link_code(asker).await.expect("below the limits");
    assert_eq!(link.expires_at, bench.clock.now().plus(limits::LINK_CODE_LIFETIME));
    let bench = bench.restarted();
    assert_eq!(join(&bench, &format!(" {}\n", link.expose())).await, Ok(asker.account));
    assert_eq!(join(&bench, link.expose()).await, Err(JoinError::CodeInvalid));

    // The code of a device that has signed out is invalid, though the account still exists.
    let link = bench.service.issue_link_code(asker).await.expect("below the limits");
    bench.registry.sign_out(asker.device).await.expect("it is known");
    assert_eq!(join(&bench, link.expose()).await, Err(JoinError::CodeInvalid));
}

#[tokio::test]
async fn a_code_whose_sign_up_fails_stays_valid() {
    let bench = Bench::new();
    let asker = bench.holder(PHONE).await;
    let link = bench.service.issue_link_code(asker).await.expect("below the limits");
    let name = Some("n".repeat(limits::DEVICE_NAME_BYTES_MAX + 1));
    let request = SignUp { platform: Platform::Macos, name, link: None };
    let refused = bench.service.join(request, link.expose()).await;
    assert_eq!(refused, Err(JoinError::Registry(DeviceError::NameTooLong)));
    assert_eq!(join(&bench, link.expose()).await, Ok(asker.account));
}

#[tokio::test]
async fn of_many_that_use_a_code_at_once_one_joins() {
    let bench = Bench::new();
    let asker = bench.holder(PHONE).await;
    let link = bench.service.issue_link_code(asker).await.expect("below the limits");
    let joined = future::join_all((0..16).map(|_| join(&bench, link.expose()))).await;
    assert_eq!(joined.iter().filter(|joined| joined.is_ok()).count(), 1, "{joined:?}");
}
