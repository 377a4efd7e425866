//! Parses C declarations and their doc comments, with tree-sitter's grammar of C.

use anyhow::{Context, Result, bail, ensure};
use tree_sitter::{Node, Parser, Tree};

use crate::api::{Api, Doc, Field, Item, Kind, Section};

fn tree(text: &str) -> Result<Tree> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_c::LANGUAGE.into())?;
    let tree = parser.parse(text, None).context("the C parser stopped")?;
    if let Some(wrong) = first_error(tree.root_node()) {
        bail!(
            "line {} is not valid C: {}",
            wrong.start_position().row + 1,
            &text[wrong.byte_range()]
        );
    }
    Ok(tree)
}

fn first_error(node: Node<'_>) -> Option<Node<'_>> {
    if node.is_error() || node.is_missing() {
        return Some(node);
    }
    if !node.has_error() {
        return None;
    }
    (0..node.child_count() as u32).filter_map(|index| node.child(index)).find_map(first_error)
}

/// Returns whether this kind of node is a declaration.
fn declares(kind: &str) -> bool {
    matches!(kind, "preproc_def" | "type_definition" | "declaration")
}

/// Returns each declaration of `text`, with the doc comment before it.
pub fn documented(text: &str) -> Result<Vec<(Option<String>, String)>> {
    let tree = tree(text)?;
    let (mut found, mut comment) = (Vec::new(), None);
    let root = tree.root_node();
    for node in root.children(&mut root.walk()) {
        let source = text[node.byte_range()].trim_end();
        if node.kind() == "comment" {
            comment = source.starts_with("/**").then(|| source.to_owned());
        } else if declares(node.kind()) {
            found.push((comment.take(), source.to_owned()));
        }
    }
    Ok(found)
}

/// Returns the name in a declaration.
pub fn declared_name(code: &str) -> Result<String> {
    let tree = tree(code)?;
    let node = tree.root_node().child(0).context("there is no declaration")?;
    name_of(node, code)
}

fn name_of(node: Node<'_>, text: &str) -> Result<String> {
    if let Some(name) = node.child_by_field_name("name").filter(|_| node.kind() == "preproc_def") {
        return Ok(text[name.byte_range()].to_owned());
    }
    let mut inner =
        node.child_by_field_name("declarator").context("a declaration without a declarator")?;
    loop {
        if let Some(next) = inner.child_by_field_name("declarator") {
            inner = next;
        } else if inner.kind() == "parenthesized_declarator" {
            inner = inner.named_child(0).context("empty parentheses")?;
        } else {
            return Ok(text[inner.byte_range()].to_owned());
        }
    }
}

/// The lines that give the functions C linkage in C++.
pub const EXTERN_C: &str = "#ifdef __cplusplus\nextern \"C\" {\n#endif\n";
pub const EXTERN_C_END: &str = "#ifdef __cplusplus\n}\n#endif\n";

/// Parses the whole header.
pub fn api(header: &str) -> Result<Api> {
    // The grammar cannot pair the braces of `extern "C"`, as each is in an `#ifdef` of its own.
    let header = &header.replace(EXTERN_C, "").replace(EXTERN_C_END, "");
    let tree = tree(header)?;
    let mut api = Api { version: String::new(), overview: Vec::new(), sections: Vec::new() };
    let mut comment = None;
    visit(tree.root_node(), &mut |node| {
        let source = &header[node.byte_range()];
        match node.kind() {
            "comment" if source.starts_with("/** @defgroup ") => {
                api.sections.push(section(source)?)
            }
            "comment" if source.starts_with("/** @}") => comment = None,
            "comment" if source.starts_with("/**") => comment = Some(source.to_owned()),
            "comment" if api.overview.is_empty() && api.sections.is_empty() => {
                api.overview = blocks(source)
            }
            // The include guard is before the first section.
            kind if declares(kind) && !api.sections.is_empty() => {
                let name = name_of(node, header)?;
                let doc = comment.take().with_context(|| format!("{name} has no documentation"))?;
                let item = item(node, header, name, &doc)?;
                api.sections
                    .last_mut()
                    .context("a declaration before the first section")?
                    .items
                    .push(item);
            }
            _ => {}
        }
        Ok(())
    })?;
    let number = |part: &str| {
        let name = format!("KVDS_VERSION_{part}");
        let item = api.items().find(|item| item.name == name);
        match item.map(|item| &item.kind) {
            Some(Kind::Constant { value }) => Ok(value.to_string()),
            _ => bail!("there is no {name}"),
        }
    };
    api.version = [number("MAJOR")?, number("MINOR")?, number("PATCH")?].join(".");
    Ok(api)
}

/// Calls `see` for every top-level declaration and comment in order, also inside `#ifdef`.
fn visit(node: Node<'_>, see: &mut impl FnMut(Node<'_>) -> Result<()>) -> Result<()> {
    for child in node.children(&mut node.walk()) {
        match child.kind() {
            "comment" => see(child)?,
            kind if declares(kind) => see(child)?,
            "preproc_ifdef" => visit(child, see)?,
            _ => {}
        }
    }
    Ok(())
}

fn section(comment: &str) -> Result<Section> {
    let mut text = blocks(comment);
    ensure!(!text.is_empty(), "an empty banner");
    let head = text.remove(0);
    let words = head.strip_prefix("@defgroup ").and_then(|rest| rest.split_once(' '));
    let (id, title) = words.with_context(|| format!("not the head of a section: {head}"))?;
    let (_, title) =
        title.split_once(". ").with_context(|| format!("section {id} has no number"))?;
    text.retain(|block| block != "@{");
    for block in &mut text {
        if let Some(rest) = block.strip_suffix("\n@{") {
            *block = rest.to_owned();
        }
    }
    Ok(Section { id: id.to_owned(), title: title.to_owned(), text, items: Vec::new() })
}

fn item(node: Node<'_>, header: &str, name: String, comment: &str) -> Result<Item> {
    let (doc, params) = doc(comment)?;
    let code = without_comments(node, header);
    let kind = match node.kind() {
        "preproc_def" => {
            let value = node
                .child_by_field_name("value")
                .with_context(|| format!("{name} has no value"))?;
            let value = header[value.byte_range()].trim().trim_matches(['(', ')']);
            Kind::Constant {
                value: value.parse().with_context(|| format!("{name} is not a number: {value}"))?,
            }
        }
        "declaration" => {
            let returns = returned(node, header)?;
            Kind::Function { returns, params: parameters(node, header, params)? }
        }
        _ => type_kind(node, header)?,
    };
    Ok(Item { name, kind, code, doc })
}

fn type_kind(node: Node<'_>, header: &str) -> Result<Kind> {
    let of = node.child_by_field_name("type").context("a type without a type")?;
    let declarator = node.child_by_field_name("declarator").context("a type without a name")?;
    if declarator.kind() == "function_declarator" {
        return Ok(Kind::Callback {
            returns: returned(node, header)?,
            params: parameters(node, header, Vec::new())?,
        });
    }
    if of.kind() != "struct_specifier" {
        return Ok(Kind::Integer { of: header[of.byte_range()].to_owned() });
    }
    let Some(body) = of.child_by_field_name("body") else { return Ok(Kind::Opaque) };
    let (mut fields, mut text) = (Vec::new(), Vec::new());
    for child in body.named_children(&mut body.walk()) {
        match child.kind() {
            "comment" => text = blocks(&header[child.byte_range()]),
            "field_declaration" => {
                let (name, of) = named_type(child, header)?;
                fields.push(Field { name, of, text: std::mem::take(&mut text), direction: None });
            }
            kind => bail!("cannot read a {kind} in a struct"),
        }
    }
    Ok(Kind::Struct { fields })
}

/// Returns the function declarator of a declaration.
fn function<'tree>(node: Node<'tree>) -> Result<Node<'tree>> {
    let mut inner = node;
    while inner.kind() != "function_declarator" {
        inner = inner.child_by_field_name("declarator").context("not a function")?;
    }
    Ok(inner)
}

/// Returns the return type of a function or a callback.
fn returned(node: Node<'_>, header: &str) -> Result<String> {
    Ok(one_line(&header[node.start_byte()..function(node)?.start_byte()])
        .trim_start_matches("typedef ")
        .to_owned())
}

fn parameters(node: Node<'_>, header: &str, mut documented: Vec<Field>) -> Result<Vec<Field>> {
    let list = function(node)?
        .child_by_field_name("parameters")
        .context("a function without parentheses")?;
    let mut parameters = Vec::new();
    for child in list
        .named_children(&mut list.walk())
        .filter(|child| child.kind() == "parameter_declaration")
    {
        if header[child.byte_range()] == *"void" {
            continue;
        }
        let (name, of) = named_type(child, header)?;
        let known =
            documented.iter().position(|field| field.name == name).map(|at| documented.remove(at));
        let (text, direction) =
            known.map_or_else(Default::default, |field| (field.text, field.direction));
        parameters.push(Field { name, of, text, direction });
    }
    if let Some(Field { name, .. }) = documented.first() {
        bail!("there is no parameter {name} in: {}", one_line(&header[node.byte_range()]));
    }
    Ok(parameters)
}

/// Returns the name and the type of a field or a parameter.
fn named_type(node: Node<'_>, header: &str) -> Result<(String, String)> {
    let mut inner = node.child_by_field_name("declarator").context("something without a name")?;
    while let Some(next) = inner.child_by_field_name("declarator") {
        inner = next;
    }
    Ok((
        header[inner.byte_range()].to_owned(),
        one_line(&header[node.start_byte()..inner.start_byte()]),
    ))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn without_comments(node: Node<'_>, header: &str) -> String {
    let mut code = String::new();
    let mut at = node.start_byte();
    let mut cut = |from: usize, to: usize| {
        code.push_str(header[at..from].trim_end_matches([' ', '\n']));
        at = to;
    };
    comments(node, &mut |comment| cut(comment.start_byte(), comment.end_byte()));
    code.push_str(header[at..node.end_byte()].trim_end());
    code
}

fn comments<'tree>(node: Node<'tree>, see: &mut impl FnMut(Node<'tree>)) {
    for child in node.children(&mut node.walk()) {
        if child.kind() == "comment" { see(child) } else { comments(child, see) }
    }
}

/// Returns the paragraphs of a comment, without its stars.
///
/// Paragraphs keep their lines and indentation.
fn blocks(comment: &str) -> Vec<String> {
    let inner = comment.trim_start_matches('/').trim_start_matches('*');
    let inner = inner.strip_suffix("*/").unwrap_or(inner);
    let mut blocks = vec![Vec::new()];
    for line in inner.lines() {
        let line = line.trim_start().strip_prefix('*').unwrap_or(line.trim_start());
        let line = line.strip_prefix(' ').unwrap_or(line).trim_end();
        match blocks.last_mut() {
            Some(block) if !line.is_empty() => block.push(line),
            _ => blocks.push(Vec::new()),
        }
    }
    blocks.iter().filter(|block| !block.is_empty()).map(|block| block.join("\n")).collect()
}

/// Parses a doc comment. Returns its parameters separately.
fn doc(comment: &str) -> Result<(Doc, Vec<Field>)> {
    let (mut doc, mut params) = (Doc::default(), Vec::<Field>::new());
    for block in blocks(comment) {
        if !block.starts_with('@') {
            doc.text.push(block);
            continue;
        }
        /// The last command, to which the following lines belong.
        enum Last {
            Param,
            Return,
            Status,
        }
        let mut last = None;
        for line in block.lines() {
            if let Some(rest) = line.strip_prefix("@param") {
                let (direction, rest) =
                    match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                        Some((direction, rest)) => (Some(direction.to_owned()), rest),
                        None => (None, rest),
                    };
                let (name, text) = rest
                    .trim()
                    .split_once(' ')
                    .with_context(|| format!("not a parameter: {line}"))?;
                let text = vec![text.trim().to_owned()];
                params.push(Field { name: name.to_owned(), of: String::new(), text, direction });
                last = Some(Last::Param);
            } else if let Some(rest) = line.strip_prefix("@return") {
                doc.returns = Some(rest.trim().to_owned()).filter(|text| !text.is_empty());
                last = Some(Last::Return);
            } else if let (Some(status), Some(_)) = (line.strip_prefix("- "), &last) {
                let (names, condition) = status.split_once(": ").unwrap_or((status, ""));
                for name in names.split(", ") {
                    doc.statuses.push((name.trim_matches('`').to_owned(), condition.to_owned()));
                }
                last = Some(Last::Status);
            } else {
                let more = line.trim();
                let text = match last {
                    Some(Last::Param) => params.last_mut().and_then(|param| param.text.last_mut()),
                    Some(Last::Return) => doc.returns.as_mut(),
                    Some(Last::Status) => doc.statuses.last_mut().map(|(_, condition)| condition),
                    None => None,
                };
                let text = text.with_context(|| format!("no command before this line: {line}"))?;
                text.push(' ');
                text.push_str(more);
            }
        }
    }
    Ok((doc, params))
}
