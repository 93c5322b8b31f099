//! Which names a condition takes from outside of itself.

use std::collections::HashSet;

use yara_x_parser::ast::dfs::{DFSEvent, DFSIter};
use yara_x_parser::ast::{Expr, Ident};

/// The identifiers of `condition` that are not its own `for` or `with` variables: modules, other rules,
/// external variables. Each once, in source order.
///
/// The names that a `with` declares count as its own in the declarations too.
pub(super) fn free_names<'a>(condition: &'a Expr<'a>) -> Vec<&'a str> {
    let mut names = Vec::new();
    let mut seen = HashSet::new();
    let mut fields: HashSet<*const Expr<'a>> = HashSet::new();
    let mut scopes: Vec<Scope<'a>> = Vec::new();
    for event in DFSIter::new(condition) {
        match event {
            DFSEvent::Enter(expression) => {
                if let Some(scope) = scopes
                    .last_mut()
                    .filter(|scope| std::ptr::eq(scope.body, expression))
                {
                    scope.is_open = true;
                }
                match expression {
                    Expr::ForIn(loop_) => scopes.push(Scope {
                        body: &loop_.body,
                        variables: loop_.variables.iter().map(name_of).collect(),
                        is_open: false,
                    }),
                    Expr::With(with) => scopes.push(Scope {
                        body: &with.body,
                        variables: with
                            .declarations
                            .iter()
                            .map(|it| name_of(&it.identifier))
                            .collect(),
                        is_open: true,
                    }),
                    // Of `pe.sections[i].name` only `pe` (and `i`) are names; the rest are fields.
                    Expr::FieldAccess(access) => {
                        fields.extend(
                            access
                                .operands()
                                .skip(1)
                                .filter_map(head)
                                .map(std::ptr::from_ref),
                        );
                    }
                    Expr::Ident(identifier) => {
                        let name = name_of(identifier);
                        let is_field = fields.contains(&std::ptr::from_ref(expression));
                        if !is_field
                            && !scopes.iter().any(|scope| scope.binds(name))
                            && seen.insert(name)
                        {
                            names.push(name);
                        }
                    }
                    _ => {}
                }
            }
            DFSEvent::Leave(expression) => {
                if scopes
                    .last()
                    .is_some_and(|scope| std::ptr::eq(scope.body, expression))
                {
                    scopes.pop();
                }
            }
        }
    }
    names
}

/// The variables of one `for` or `with`.
struct Scope<'a> {
    body: &'a Expr<'a>,
    variables: HashSet<&'a str>,
    /// A `for` variable does not exist yet in what the loop runs over.
    is_open: bool,
}

impl Scope<'_> {
    fn binds(&self, name: &str) -> bool {
        self.is_open && self.variables.contains(name)
    }
}

fn name_of<'a>(identifier: &Ident<'a>) -> &'a str {
    identifier.name
}

/// The identifier that an access begins with.
fn head<'a>(mut expression: &'a Expr<'a>) -> Option<&'a Expr<'a>> {
    loop {
        match expression {
            Expr::Ident(_) => return Some(expression),
            Expr::Lookup(lookup) => expression = &lookup.primary,
            Expr::FieldAccess(access) => expression = access.operands().next()?,
            Expr::FuncCall(call) => expression = call.object.as_ref()?,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use yara_x_parser::ast::AST;

    use super::*;

    fn names(condition: &str) -> Vec<String> {
        let text = format!("rule it {{ strings: $a = \"abc\" condition: {condition} }}");
        let ast = AST::from(text.as_str());
        assert_eq!(ast.errors(), [], "{condition}");
        let rule = ast.rules().next().unwrap();
        free_names(&rule.condition)
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn only_heads_of_accesses_that_are_no_variables_are_free() {
        let cases: &[(&str, &[&str])] = &[
            ("true", &[]),
            ("other and not another", &["other", "another"]),
            ("other or other", &["other"]),
            ("pe.number_of_sections > 3", &["pe"]),
            ("pe.sections[index].name == \"x\"", &["pe", "index"]),
            (
                "pe.sections[0].name.length > 1 and sections",
                &["pe", "sections"],
            ),
            ("math.entropy(0, filesize) > pe.size", &["math", "pe"]),
            ("pe.call(one).field[two].more > 0", &["pe", "one", "two"]),
            ("uint16(offset) == 3", &["offset"]),
            (
                "for any i in (0..count) : ( @a[i] < limit )",
                &["count", "limit"],
            ),
            ("for any i in (0..i) : ( i == 1 )", &["i"]),
            ("for any i in (1, 2) : ( i == 1 ) and i", &["i"]),
            (
                "for any key, value in vt.metadata.signatures : ( key == value )",
                &["vt"],
            ),
            (
                "for all i in (1, 2) : ( for any j in (i, k) : ( j == i ) )",
                &["k"],
            ),
            ("for any of them : ( $ at start )", &["start"]),
            (
                "$a in (low..high) and #a in (0..more) == 1",
                &["low", "high", "more"],
            ),
            ("any of (first, second)", &["first", "second"]),
            ("limit of them", &["limit"]),
            ("with x = pe.size, y = x : ( x == y )", &["pe"]),
            (
                "defined pe.signatures[3].issuer and -size < ~mask",
                &["pe", "size", "mask"],
            ),
            ("for any i in (0..math.max(1, 2)) : ( i == 1 )", &["math"]),
        ];
        for (condition, expected) in cases {
            assert_eq!(names(condition), *expected, "{condition}");
        }
    }
}
