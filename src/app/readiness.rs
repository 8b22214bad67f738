//! What keeps a running gateway from working: told by `/readyz`, and as alerts.

use super::backend::GatewayBackend;
use crate::bilingual;
use crate::cms::SignatureScheme;
use crate::console::Unready;
use crate::ground::durable;
use crate::store::CommitError;

impl GatewayBackend {
    /// What keeps the gateway from working, whoever the partner is.
    pub(super) fn unready(&self) -> Vec<Unready> {
        self.found(self.lacking().filter(Lacking::is_everything))
    }

    /// The same, and what keeps it from working with some of the partners.
    pub(super) fn hindered(&self) -> Vec<Unready> {
        self.found(self.lacking())
    }

    fn found(&self, lacking: Option<Lacking>) -> Vec<Unready> {
        let keys = lacking.map(|lacking| lacking.told());
        let mut found: Vec<Unready> = self.unready_space().into_iter().chain(keys).collect();
        if self.store.poisoned().is_some() {
            let text = bilingual!(
                "日志写入失败，进程即将退出。请检查磁盘后重启。",
                "the journal failed and the process is about to end. Check the disk and start again."
            );
            found.push(Unready { code: "journal-failed".to_owned(), text });
        }
        if self.store.is_full() {
            let text = CommitError::NoSpace.text();
            found.push(Unready { code: CommitError::NoSpace.code().to_owned(), text });
        }
        found
    }

    fn unready_space(&self) -> Option<Unready> {
        let (folder, floor) = (&self.config.folders.data, self.config.server.free_space_floor);
        let free = durable::free_space(folder).unwrap_or(0);
        let shown = folder.display();
        (free < floor).then(|| Unready {
            code: "disk-nearly-full".to_owned(),
            text: bilingual!(
                "{shown} 仅剩 {free} 字节，低于下限 {floor}，暂不接收报文。请腾出空间。",
                "{shown} has {free} bytes free, below the floor of {floor}; nothing is accepted. Make room."
            ),
        })
    }

    fn lacking(&self) -> Option<Lacking> {
        let (keys, now) = (&self.config.station.keys, self.clock.now());
        let wanted = self.directory.load().signed_by();
        let lacks = |scheme: &Option<SignatureScheme>| keys.signing_key(now, *scheme).is_none();
        let (lacking, held): (Vec<_>, Vec<_>) = wanted.into_iter().partition(lacks);
        let signs = keys.signing_key(now, None).is_some();
        (!lacking.is_empty()).then_some(Lacking { lacking, held: held.len(), signs })
    }
}

/// Ways of signing that enabled partners want and for which no key is valid now.
struct Lacking {
    lacking: Vec<Option<SignatureScheme>>,
    /// How many others are wanted that have one.
    held: usize,
    /// Some key signs, wanted or not.
    signs: bool,
}

impl Lacking {
    /// Nothing can be signed for anybody.
    fn is_everything(&self) -> bool {
        self.held == 0
    }

    fn told(&self) -> Unready {
        let text = if self.signs {
            let named: Vec<&str> = self.lacking.iter().flatten().map(|scheme| scheme.name()).collect();
            let named = named.join(", ");
            bilingual!(
                "有伙伴约定以 {named} 签名，但当前没有可如此签名的有效密钥。请在 [[station.keys]] 中加入这类新密钥。",
                "partners want signatures in {named}, and no key that signs so is valid now. Add one of that kind to [[station.keys]]."
            )
        } else {
            bilingual!(
                "没有当前有效的签名密钥。请在 [[station.keys]] 中加入新密钥。",
                "no signing key is valid now. Add one to [[station.keys]]."
            )
        };
        Unready { code: "no-signing-key".to_owned(), text }
    }
}
