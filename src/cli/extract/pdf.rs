//! The text of PDF files, page by page.

/// Reads a PDF file. Each page is a section: what is found in it names its page.
pub(super) fn markdown(bytes: &[u8]) -> Result<String, String> {
    let pages =
        pdf_extract::extract_text_from_mem_by_pages(bytes).map_err(|error| error.to_string())?;
    let mut text = String::new();
    for (at, page) in pages.iter().enumerate() {
        if !page.trim().is_empty() {
            text.push_str(&format!("# page {}\n\n", at + 1));
            // A line of the page that looks like a heading is none.
            for line in page.lines() {
                text.push_str(line.trim_start_matches('#').trim());
                text.push('\n');
            }
            text.push('\n');
        }
    }
    match text.is_empty() && !pages.is_empty() {
        true => Err("it holds no text, only images: it needs text recognition first".to_owned()),
        false => Ok(text),
    }
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;

    /// A PDF file of one page for each text.
    pub(in crate::cli) fn pdf(pages: &[&str]) -> Vec<u8> {
        let count = pages.len();
        let kids: Vec<String> = (0..count).map(|at| format!("{} 0 R", 4 + 2 * at)).collect();
        let mut objects = vec![
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            format!(
                "<< /Type /Pages /Kids [{}] /Count {count} >>",
                kids.join(" ")
            ),
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
                .to_owned(),
        ];
        for (at, text) in pages.iter().enumerate() {
            let lines: Vec<String> = text.lines().map(|line| format!("({line}) Tj T*")).collect();
            let stream = format!("BT /F1 12 Tf 14 TL 72 720 Td {} ET", lines.join(" "));
            objects.push(format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R /Resources << /Font << /F1 3 0 R >> >> >>",
                5 + 2 * at
            ));
            objects.push(format!(
                "<< /Length {} >>\nstream\n{stream}\nendstream",
                stream.len()
            ));
        }
        let mut file = "%PDF-1.4\n".to_owned();
        let mut places = Vec::new();
        for (at, object) in objects.iter().enumerate() {
            places.push(file.len());
            file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", at + 1));
        }
        let start = file.len();
        file.push_str(&format!(
            "xref\n0 {}\n0000000000 65535 f \n",
            objects.len() + 1
        ));
        places
            .iter()
            .for_each(|place| file.push_str(&format!("{place:010} 00000 n \n")));
        file.push_str(&format!(
            "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n",
            objects.len() + 1
        ));
        file.into_bytes()
    }

    #[test]
    fn pages_are_sections() {
        let text = markdown(&pdf(&[
            "The ferry leaves at nine.",
            "",
            "# The museum opens.",
        ]))
        .unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(
            lines,
            [
                "# page 1",
                "The ferry leaves at nine.",
                "# page 3",
                "The museum opens."
            ]
        );
        assert!(markdown(&pdf(&[""])).unwrap_err().contains("no text"));
        assert!(markdown(b"no PDF").is_err());
    }
}
