//! Files of the form by their content: a PDF (ISO 32000-1, 7.5) or a JPEG (ITU-T T.81, annex B) that a reader opens.

use super::Say;
use super::fields::{Field, Kind};
use crate::bilingual;
use crate::ground::text::{Bilingual, printable};

/// Largest file in bytes: 4 MB.
pub const LARGEST: u64 = 4 * 1024 * 1024;
/// What some count as 4 MB.
const DECIMAL: u64 = 4_000_000;
/// Bytes at the front in which readers look for a PDF's head, and at the back for its end.
const PDF_FRONT: usize = 1024;
const PDF_BACK: usize = 2048;

/// A file that the form names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Key path of the field that names it.
    pub path: &'static str,
    /// Its name in the form.
    pub name: String,
    /// What it holds.
    pub content: Content,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Its bytes, and its size; of a file larger than [`LARGEST`] the first bytes are enough.
    Bytes {
        /// From the beginning.
        bytes: Vec<u8>,
        /// Size of the whole file in bytes.
        size: u64,
    },
    /// It cannot be read, for this reason.
    Unreadable(String),
}

/// What is wrong with a file.
pub(super) fn judge(field: &Field, attachment: &Attachment) -> Vec<Say> {
    let (zh, name) = (field.zh, printable(&attachment.name));
    let (bytes, size) = match &attachment.content {
        Content::Bytes { bytes, size } => (bytes.as_slice(), *size),
        Content::Unreadable(reason) => {
            let text = bilingual!(
                "“{zh}”的文件 {name} 无法读取：{reason}；请检查路径（相对于表单文件所在文件夹）",
                "{name} cannot be read: {reason}; check the path, which starts at the form's folder"
            );
            return vec![Say::error("F05", "attachment-unreadable", text)];
        }
    };
    if size == 0 {
        let text = bilingual!("“{zh}”的文件 {name} 是空的", "{name} is empty");
        return vec![Say::error("F05", "attachment-empty", text)];
    }
    let mut said = Vec::new();
    said.extend(too_large(zh, &name, size));
    let whole = u64::try_from(bytes.len()).is_ok_and(|length| length >= size);
    said.extend(match field.kind {
        Kind::Pdf => pdf(zh, &name, bytes, whole),
        _ => jpeg(zh, &name, bytes, whole),
    });
    if said.is_empty() {
        said.extend(extension(field.kind, zh, &name));
    }
    said
}

fn too_large(zh: &str, name: &str, size: u64) -> Option<Say> {
    if size > LARGEST {
        let text = bilingual!(
            "“{zh}”的文件 {name} 有 {size} 字节，超过 4 MB；请压缩或降低扫描分辨率",
            "{name} has {size} bytes, more than 4 MB; compress it or scan it coarser"
        );
        return Some(Say::error("F06", "attachment-too-large", text));
    }
    (size > DECIMAL).then(|| {
        let text = bilingual!(
            "“{zh}”的文件 {name} 有 {size} 字节；若系统按 1 MB = 1000000 字节计算，会超过 4 MB",
            "{name} has {size} bytes: more than 4 MB where 1 MB means 1000000 bytes"
        );
        Say::warning("F06", "attachment-near-limit", text)
    })
}

fn pdf(zh: &str, name: &str, bytes: &[u8], whole: bool) -> Option<Say> {
    let front = bytes.get(..PDF_FRONT).unwrap_or(bytes);
    let Some(start) = memchr::memmem::find(front, b"%PDF-") else {
        let (is_zh, is_en) = both(kind_of(bytes));
        let text = bilingual!(
            "“{zh}”必须是 PDF；{name} 的内容是{is_zh}。改文件名不能改变格式，请导出为 PDF",
            "{name} must be a PDF; its content is {is_en}. Renaming changes nothing, export it as PDF"
        );
        return Some(Say::error("F05", "not-a-pdf", text));
    };
    if !whole {
        return None;
    }
    let (wrong_zh, wrong_en) = both(pdf_damage(bytes, start)?);
    let text = bilingual!(
        "“{zh}”的 PDF 文件 {name} 不完整：{wrong_zh}；请重新导出",
        "the PDF {name} is not whole: {wrong_en}; export it again"
    );
    Some(Say::error("F05", "pdf-damaged", text))
}

/// What keeps a reader from finding the objects of a PDF that begins at `start`.
fn pdf_damage(file: &[u8], start: usize) -> Option<Bilingual> {
    let pdf = file.get(start..).unwrap_or_default();
    let version = pdf.get(5..8).is_some_and(|v| matches!(v, [b'1' | b'2', b'.', b'0'..=b'9']));
    if !version {
        return Some(bilingual!("没有版本号", "it has no version"));
    }
    let back = pdf.get(pdf.len().saturating_sub(PDF_BACK)..).unwrap_or(pdf);
    let Some(end) = memchr::memmem::rfind(back, b"%%EOF") else {
        return Some(bilingual!("没有结尾标记 %%EOF", "the end mark %%EOF is missing"));
    };
    let before = back.get(..end).unwrap_or_default();
    let Some(at) = memchr::memmem::rfind(before, b"startxref") else {
        return Some(bilingual!("没有 startxref", "startxref is missing"));
    };
    let digits = before.get(at.saturating_add(9)..).unwrap_or_default().trim_ascii();
    let offset = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<usize>().ok());
    // Writers disagree whether bytes before the head count.
    let found = offset.is_some_and(|offset| [pdf, file].iter().any(|from| is_table(from.get(offset..))));
    (!found).then(|| bilingual!("startxref 指向的位置没有交叉引用表", "startxref does not lead to a table of objects"))
}

/// A cross-reference table, or the object that holds one.
fn is_table(at: Option<&[u8]>) -> bool {
    let Some(at) = at.map(<[u8]>::trim_ascii_start) else { return false };
    let object = at.get(..32).unwrap_or(at).windows(3).any(|word| word == b"obj");
    at.starts_with(b"xref") || (at.first().is_some_and(u8::is_ascii_digit) && object)
}

fn jpeg(zh: &str, name: &str, bytes: &[u8], whole: bool) -> Option<Say> {
    if !bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
        let (is_zh, is_en) = both(kind_of(bytes));
        let text = bilingual!(
            "“{zh}”必须是 JPG；{name} 的内容是{is_zh}。改文件名不能改变格式，请另存为 JPG",
            "{name} must be a JPEG; its content is {is_en}. Renaming changes nothing, save it as JPEG"
        );
        return Some(Say::error("F05", "not-a-jpeg", text));
    }
    if !whole {
        return None;
    }
    let (wrong_zh, wrong_en) = both(jpeg_damage(bytes)?);
    let text = bilingual!(
        "“{zh}”的 JPG 文件 {name} 不完整：{wrong_zh}；请重新扫描或另存",
        "the JPEG {name} is not whole: {wrong_en}; scan or save it again"
    );
    Some(Say::error("F05", "jpeg-damaged", text))
}

/// Walks the segments up to the image's data: there is a frame of some size, a scan, and an end.
fn jpeg_damage(jpeg: &[u8]) -> Option<Bilingual> {
    let cut = || Some(bilingual!("文件被截断", "it is cut off"));
    let (mut at, mut framed) = (2usize, false);
    loop {
        let Some([0xFF, marker]) = jpeg.get(at..at.saturating_add(2)) else { return cut() };
        match *marker {
            // Padding before a marker; markers without content.
            0xFF => at = at.saturating_add(1),
            0x01 | 0xD0..=0xD7 => at = at.saturating_add(2),
            0xD9 => return Some(bilingual!("没有图像数据", "it holds no image data")),
            marker => {
                let Some([high, low]) = jpeg.get(at.saturating_add(2)..at.saturating_add(4)) else { return cut() };
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let next = at.saturating_add(2).saturating_add(length);
                if length < 2 || next > jpeg.len() {
                    return cut();
                }
                if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
                    let size = jpeg.get(at.saturating_add(5)..at.saturating_add(9));
                    framed = size.is_some_and(|size| length >= 8 && !size.chunks_exact(2).any(|side| side == [0, 0]));
                }
                if marker == 0xDA {
                    break;
                }
                at = next;
            }
        }
    }
    if !framed {
        return Some(bilingual!("没有图像尺寸", "the image has no size"));
    }
    match memchr::memmem::rfind(jpeg.get(at..).unwrap_or_default(), &[0xFF, 0xD9]) {
        Some(_) => None,
        None => cut(),
    }
}

/// What else it is, for people who renamed a file.
fn kind_of(bytes: &[u8]) -> Bilingual {
    let heic = bytes.get(4..12).is_some_and(|brand| matches!(brand, b"ftypheic" | b"ftypmif1" | b"ftypheix"));
    match bytes {
        [0xFF, 0xD8, 0xFF, ..] => bilingual!(" JPG 图像", "a JPEG image"),
        [0x89, b'P', b'N', b'G', ..] => bilingual!(" PNG 图像", "a PNG image"),
        [b'%', b'P', b'D', b'F', ..] => bilingual!(" PDF", "a PDF"),
        [b'P', b'K', 3, 4, ..] => bilingual!("压缩包或 Office 文档", "a ZIP archive or an Office document"),
        [0xD0, 0xCF, 0x11, 0xE0, ..] => bilingual!("旧版 Office 文档", "an old Office document"),
        [b'B', b'M', ..] => bilingual!(" BMP 图像", "a BMP image"),
        [b'G', b'I', b'F', b'8', ..] => bilingual!(" GIF 图像", "a GIF image"),
        [b'I', b'I', 0x2A, 0, ..] | [b'M', b'M', 0, 0x2A, ..] => bilingual!(" TIFF 图像", "a TIFF image"),
        _ if heic => bilingual!(" HEIC 图像", "a HEIC image"),
        _ => bilingual!("其他格式", "something else"),
    }
}

/// The portal may look at the name as well.
fn extension(kind: Kind, zh: &str, name: &str) -> Option<Say> {
    let given = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    let (wanted, fits) = match kind {
        Kind::Pdf => (".pdf", given == "pdf"),
        _ => (".jpg", given == "jpg"),
    };
    (!fits).then(|| {
        let text = bilingual!(
            "“{zh}”的文件 {name} 内容正确，但扩展名不是 {wanted}；系统可能按扩展名判断，请改名",
            "the content of {name} is right but its name does not end in {wanted}; the portal may judge by the name, rename it"
        );
        Say::warning("F05", "attachment-name", text)
    })
}

fn both(text: Bilingual) -> (String, String) {
    (text.zh, text.en)
}
