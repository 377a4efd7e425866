//! The C interface as data: the contents of `abi/api.json`.
//!
//! The header is parsed once, into these types. Checks, man pages and the declarations of the
//! bindings use them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Everything that `include/kvds.h` declares.
#[derive(Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Api {
    /// The library's version, such as "0.1.0".
    pub version: String,
    /// The text at the top of the header, one block per paragraph.
    pub overview: Vec<String>,
    /// The header's sections, in its order.
    pub sections: Vec<Section>,
}

/// A part of the header under one banner.
#[derive(Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Section {
    /// A short name, such as "read": the name of its source file.
    pub id: String,
    /// The title in the banner.
    pub title: String,
    /// The text in the banner, one block per paragraph.
    pub text: Vec<String>,
    /// The declarations, in the header's order.
    pub items: Vec<Item>,
}

/// A declaration with its documentation.
#[derive(Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Item {
    pub name: String,
    #[serde(flatten)]
    pub kind: Kind,
    /// The declaration as it stands in the header, without the comments inside it.
    pub code: String,
    pub doc: Doc,
}

#[derive(Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// A macro with a number.
    Constant {
        value: i64,
    },
    /// A struct that programs use only by pointer.
    Opaque,
    Struct {
        fields: Vec<Field>,
    },
    /// Another name for an integer type.
    Integer {
        of: String,
    },
    /// A pointer to a function.
    Callback {
        returns: String,
        params: Vec<Field>,
    },
    Function {
        returns: String,
        params: Vec<Field>,
    },
}

/// A member of a struct, or a parameter of a function.
#[derive(Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    /// Its C type, such as "const void *".
    #[serde(rename = "type")]
    pub of: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<String>,
    /// "in", "out" or "in,out", if the header has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
}

/// A doc comment.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct Doc {
    /// One block per paragraph; the first is the summary. A block whose lines are indented is code.
    pub text: Vec<String>,
    /// The text of `@return`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<String>,
    /// The statuses that the function returns, each with its condition (maybe empty).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<(String, String)>,
}

impl Api {
    /// Reads the committed `abi/api.json`.
    pub fn load(root: &Path) -> Result<Api> {
        let path = root.join("abi/api.json");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("cannot parse {}: run `make header`", path.display()))
    }

    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.sections.iter().flat_map(|section| &section.items)
    }

    /// Returns the names of all functions, in the header's order.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.items()
            .filter(|item| matches!(item.kind, Kind::Function { .. }))
            .map(|item| item.name.as_str())
    }
}
