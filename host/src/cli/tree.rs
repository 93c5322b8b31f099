//! Lines with branches before them.

/// A line, and what belongs to it.
#[derive(Debug)]
pub(super) struct Tree {
    line: String,
    branches: Vec<Tree>,
}

impl Tree {
    /// The text comes from strangers: it stays on one line, and nothing in it steers the terminal.
    pub(super) fn new(text: &str, branches: Vec<Self>) -> Self {
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = line.escape_debug().to_string();
        Self {
            line: line.replace("\\\"", "\"").replace("\\'", "'"),
            branches,
        }
    }

    pub(super) fn leaf(text: &str) -> Self {
        Self::new(text, Vec::new())
    }

    /// All lines, each with its end.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n", self.line);
        self.write_branches("", &mut text);
        text
    }

    fn write_branches(&self, indent: &str, text: &mut String) {
        for (index, branch) in self.branches.iter().enumerate() {
            let is_last = index + 1 == self.branches.len();
            let (mark, below) = if is_last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            *text += &format!("{indent}{mark}{}\n", branch.line);
            branch.write_branches(&format!("{indent}{below}"), text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_hang_on_their_line() {
        let tree = Tree::new(
            "a",
            vec![
                Tree::new("b", vec![Tree::leaf("c"), Tree::leaf("d")]),
                Tree::new("e", vec![Tree::leaf("f")]),
            ],
        );
        let expected = "a\n├─ b\n│  ├─ c\n│  └─ d\n└─ e\n   └─ f\n";
        assert_eq!(tree.text(), expected);
    }

    #[test]
    fn a_line_stays_one_and_steers_no_terminal() {
        let tree = Tree::leaf("it's \"a\"\r\n\u{1b}[2Jb\u{202e}");
        assert_eq!(tree.text(), "it's \"a\" \\u{1b}[2Jb\\u{202e}\n");
    }
}
