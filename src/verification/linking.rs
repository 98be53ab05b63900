//! Link codes of the service: issues them, and signs devices up with them.

use std::ops::ControlFlow;

use crate::{
    limits,
    registry::{Asker, ChangeError, Loading, Rows, SignUp, SignedUp},
};

use super::{
    error::{JoinError, LinkError},
    link_code::{self, Issuer, LinkCode},
    rows::apply,
    service::VerificationService,
};

impl VerificationService {
    /// Issues a code with which another device joins the asker's account.
    pub async fn issue_link_code(&self, asker: Asker) -> Result<LinkCode, LinkError> {
        let expires_at = self.clock.now().plus(limits::LINK_CODE_LIFETIME);
        let code = LinkCode::new(expires_at);
        let hash = link_code::hash_of(&self.rules.key, &code);
        let issuer = Issuer { account: asker.account, device: asker.device };
        let issue = move |rows: &mut Rows<'_>| {
            let changes = link_code::issue(rows, hash, issuer, expires_at)?;
            apply(rows, changes);
            Ok::<_, LinkError>(())
        };
        self.registry.change_rows(issue).await?;
        Ok(code)
    }

    /// Signs a device up into the account of `code`, in the transaction that uses the code up.
    ///
    /// The code of a device that has signed out is void. A code from a lost phone must not let another device in after the
    /// owner has signed the phone out.
    pub async fn join(&self, request: SignUp, code: &str) -> Result<SignedUp, JoinError> {
        let hash = link_code::hash_of_typed(&self.rules.key, code).ok_or(JoinError::CodeInvalid)?;
        let issuer = {
            let rows = self.registry.rows().map_err(|Loading| ChangeError::Loading)?;
            link_code::issuer(&rows, &hash).ok_or(JoinError::CodeInvalid)?
        };
        let asker = {
            let view = self.registry.view().map_err(|Loading| ChangeError::Loading)?;
            view.asker(issuer.device)
        };
        if asker.is_none_or(|asker| asker.account != issuer.account) {
            return Err(JoinError::CodeInvalid);
        }
        let redeem = move |rows: &mut Rows<'_>| {
            let Some(issuer) = link_code::issuer(rows, &hash) else {
                return ControlFlow::Break(());
            };
            let changes = link_code::redeem(rows, hash, issuer);
            apply(rows, changes);
            ControlFlow::Continue(())
        };
        let request = SignUp { link: Some(issuer.account), ..request };
        match self.registry.sign_up_with(request, issuer.device, redeem).await? {
            ControlFlow::Continue(signed_up) => Ok(signed_up),
            ControlFlow::Break(()) => Err(JoinError::CodeInvalid),
        }
    }
}
