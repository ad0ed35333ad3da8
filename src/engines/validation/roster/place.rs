//! States of the USA, whose names and postal codes mean the same.

use super::folded;

const STATES: &str = "al=alabama,ak=alaska,az=arizona,ar=arkansas,ca=california,co=colorado,\
    ct=connecticut,de=delaware,dc=district of columbia,fl=florida,ga=georgia,hi=hawaii,id=idaho,\
    il=illinois,in=indiana,ia=iowa,ks=kansas,ky=kentucky,la=louisiana,me=maine,md=maryland,\
    ma=massachusetts,mi=michigan,mn=minnesota,ms=mississippi,mo=missouri,mt=montana,ne=nebraska,\
    nv=nevada,nh=new hampshire,nj=new jersey,nm=new mexico,ny=new york,nc=north carolina,\
    nd=north dakota,oh=ohio,ok=oklahoma,or=oregon,pa=pennsylvania,pr=puerto rico,ri=rhode island,\
    sc=south carolina,sd=south dakota,tn=tennessee,tx=texas,ut=utah,vt=vermont,va=virginia,\
    wa=washington,wv=west virginia,wi=wisconsin,wy=wyoming";

/// The form in which states are compared; other regions are compared as they are written.
pub(super) fn state_key(state: &str) -> String {
    let state = folded(state);
    match code(&state) {
        Some(code) => code.to_owned(),
        None => state,
    }
}

fn code(state: &str) -> Option<&str> {
    STATES
        .split(',')
        .filter_map(|entry| entry.split_once('='))
        .find_map(|(code, name)| (name == state).then_some(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_agree() {
        let cases = [
            ("IL", "illinois", true),
            ("New  York", "ny", true),
            ("Ontario", "ontario", true),
            ("IL", "IN", false),
            ("Kansas", "Arkansas", false),
            ("", "al", false),
        ];
        for (one, other, expected) in cases {
            assert_eq!(
                state_key(one) == state_key(other),
                expected,
                "{one} {other}"
            );
        }
    }
}
